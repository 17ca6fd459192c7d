/* Whether this build is one that finds faults (AddressSanitizer, of gcc or clang): 1 or 0. */
#ifndef LULAB_BASE_SANITIZER_H
#define LULAB_BASE_SANITIZER_H

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER 0
#endif

#endif
