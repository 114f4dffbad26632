#pragma once
// FunctionRef<R(Args...)>: a callable seen through two pointers. It owns nothing and never allocates, so the callable
// must outlive it: meant for parameters ("call this while I wait"), never for storage. Copies refer to the same
// callable.

#include <concepts>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace mlxr {

template <class Signature>
class FunctionRef;

template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, FunctionRef> && std::is_object_v<std::remove_reference_t<F>> &&
           std::is_invocable_r_v<R, F&, Args...>)
      FunctionRef(F&& callable)  // NOLINT: implicit on purpose; a temporary lives until the full call expression ends
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
        call_([](void* object, Args... args) -> R {
          return std::invoke(*static_cast<std::remove_reference_t<F>*>(object), std::forward<Args>(args)...);
        }) {}

  R operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

 private:
  void* object_;
  R (*call_)(void*, Args...);
};

}  // namespace mlxr
