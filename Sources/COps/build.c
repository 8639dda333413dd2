// The commit, which is the address of a symbol that the linker makes: another commit compiles nothing anew.

#include "ops_build.h"

extern const char ff_commit[] __attribute__((weak));

uint64_t ops_build_commit(void) { return (uint64_t)(uintptr_t)ff_commit; }
