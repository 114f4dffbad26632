#include "cli/command.h"

int main(int argc, char** argv) {
  return mlxr::cli::run_main(argc, argv);
}
