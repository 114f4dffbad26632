#!/usr/bin/env python3
"""Talks to `mlxr run` as a person at a terminal does.

    session_test.py BIN_FOLDER

Each case starts the program on a pseudo-terminal, types, and reads until the expected text is on the screen. Nothing
waits for a time: a case fails when its text does not come before the deadline.
"""

import os
import pty
import re
import select
import signal
import sys
import tempfile
import termios
import time
import traceback

DEADLINE_S = 60
QUESTION = "What is the capital of France?"
PROMPTS = (">>> ", "... ")
ANSWER = "The capital of France is Paris."
# Cursor movements, colours and bells of the line editor.
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|[\x07\r]")


class Terminal:
    def __init__(self, bin_folder, home, *arguments):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            environment = {key: value for key, value in os.environ.items()
                           if not key.startswith(("MLXR_", "XDG_"))}
            environment.update(HOME=home, TERM="xterm", LC_ALL="C.UTF-8", COLUMNS="200", LINES="50")
            program = os.path.join(bin_folder, "mlxr")
            os.execve(program, [program, "run", *arguments], environment)
        self.unread = ""

    def expect(self, text):
        """Reads until `text` was shown, and drops what came up to its end."""
        deadline = time.monotonic() + DEADLINE_S
        while text not in self.unread:
            ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
            try:
                data = os.read(self.fd, 65536) if ready else b""
            except OSError:
                data = b""  # the other side is closed
            if not data:
                raise AssertionError(f"no {text!r} on the screen, but {self.unread[-2000:]!r}")
            self.unread = ESCAPES.sub("", self.unread + data.decode("utf-8", "replace"))
        shown, self.unread = self.unread.split(text, 1)
        if text in PROMPTS:
            self.await_editor(deadline)
        return shown

    def await_editor(self, deadline):
        """Until the line editor has the keys: what is typed before, the terminal itself would act on."""
        while termios.tcgetattr(self.fd)[3] & termios.ICANON:
            if time.monotonic() > deadline:
                raise AssertionError("the line editor does not take the terminal")
            os.sched_yield()

    def type(self, text):
        os.write(self.fd, text.encode())

    def line(self, text):
        self.type(text + "\r")

    def ask(self, text):
        """A whole turn: what is shown until the next prompt."""
        self.line(text)
        return self.expect(">>> ")

    def leave(self):
        self.line("/bye")
        return self.wait()

    def wait(self):
        deadline = time.monotonic() + DEADLINE_S
        try:
            while select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0]:
                if not os.read(self.fd, 65536):
                    break
            else:
                os.kill(self.pid, signal.SIGKILL)  # and the exit code says so
        except OSError:
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def start(bin_folder, home, *arguments):
    terminal = Terminal(bin_folder, home, "sprout", "--local", "--temperature", "0", *arguments)
    terminal.expect(">>> ")
    return terminal


def answers_and_leaves(bin_folder, home):
    terminal = start(bin_folder, home)
    assert ANSWER in terminal.ask(QUESTION)
    assert terminal.leave() == 0
    terminal = start(bin_folder, home)
    terminal.type("\x04")  # Ctrl-D
    assert terminal.wait() == 0


def takes_several_lines(bin_folder, home):
    terminal = start(bin_folder, home)
    terminal.line('"""What is the')
    terminal.expect("... ")
    shown = terminal.ask('capital of France?"""')
    assert "France" in shown, shown
    terminal.line("What is the capital \\")
    terminal.expect("... ")
    assert terminal.ask("of France?").strip(), "no answer"
    assert terminal.leave() == 0


def keeps_a_history(bin_folder, home):
    terminal = start(bin_folder, home)
    terminal.ask(QUESTION)
    terminal.ask("/clear")
    terminal.ask("/set nohistory")
    terminal.ask("/set quiet")
    assert terminal.leave() == 0
    with open(os.path.join(home, ".local/state/mlxrunner/history"), encoding="utf-8") as file:
        kept = file.read()
    assert "/clear" in kept and "quiet" not in kept, kept
    # The next session finds it: two lines up from "/set nohistory" and "/clear" is the question.
    terminal = start(bin_folder, home)
    terminal.type("\x1b[A\x1b[A\x1b[A")
    terminal.expect("France?")
    terminal.line("")
    assert ANSWER in terminal.expect(">>> ")
    assert terminal.leave() == 0


def sets_and_shows(bin_folder, home):
    terminal = start(bin_folder, home)
    assert "/clear" in terminal.ask("/help")
    assert "/clear" in terminal.ask("/?")
    terminal.ask("/set parameter top_k 17")
    assert re.search(r"top_k +17 ", terminal.ask("/show parameters"))
    assert "not a value" in terminal.ask("/set parameter top_k many")
    terminal.ask("/set system Be kind.")
    assert "Be kind." in terminal.ask("/show system")
    assert "architecture" in terminal.ask("/show info")
    assert terminal.ask("/show template").count("\n") > 1
    assert "no command" in terminal.ask("/dance")
    terminal.ask("/set verbose")
    assert "tokens/s" in terminal.ask(QUESTION)
    assert terminal.leave() == 0


def forgets_and_remembers(bin_folder, home):
    terminal = start(bin_folder, home)
    first = terminal.ask(QUESTION)
    terminal.ask("/save paris")
    assert "paris" in terminal.ask("/list")
    assert "forgotten" in terminal.ask("/clear")
    assert ANSWER in first and ANSWER in terminal.ask(QUESTION)
    assert "2 messages" in terminal.ask("/load paris")
    assert "no conversation" in terminal.ask("/load london")
    assert "is no name" in terminal.ask("/save ../paris")
    assert terminal.leave() == 0


def stops_an_answer(bin_folder, home):
    terminal = start(bin_folder, home, "--ignore-eos")
    terminal.line("Tell me a story.")
    terminal.expect("story.")
    # Something of the answer is there before it is stopped.
    while not terminal.unread.strip():
        ready, _, _ = select.select([terminal.fd], [], [], DEADLINE_S)
        assert ready, "no answer began"
        terminal.unread += ESCAPES.sub("", os.read(terminal.fd, 4096).decode("utf-8", "replace"))
    terminal.type("\x03")
    terminal.expect("(stopped)")
    terminal.expect(">>> ")
    terminal.type("half a line\x03")
    terminal.expect("leaves.")
    terminal.expect(">>> ")
    assert "forgotten" in terminal.ask("/clear")
    assert terminal.leave() == 0


CASES = [answers_and_leaves, takes_several_lines, keeps_a_history, sets_and_shows, forgets_and_remembers,
         stops_an_answer]


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    failed = 0
    for case in CASES:
        with tempfile.TemporaryDirectory() as home:
            try:
                case(sys.argv[1], home)
                print(f"ok: {case.__name__}")
            except Exception:  # a case must not hide the others
                failed += 1
                print(f"FAILED: {case.__name__}")
                traceback.print_exc()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
