// SPDX-License-Identifier: MIT
// What node-addon-api needs of a C++ runtime library, so that the addon needs none: one file then
// loads into Node on glibc and on musl.
#include <cstdlib>
#include <new>

void* operator new(std::size_t size) { return std::malloc(size); }
void* operator new[](std::size_t size) { return std::malloc(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

extern "C" void __cxa_pure_virtual() { std::abort(); }
