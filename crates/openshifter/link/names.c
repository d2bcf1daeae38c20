/*
 * Names in a program with a static C library.
 *
 * `files` and `dns` are part of the library. For any other source that /etc/nsswitch.conf names, it would load a module of
 * the machine's own C library, whose version is another, and that ends in a crash. So no other source is asked.
 * The linker puts these in the place of the library's functions (`--wrap`), so that who looks nothing up pays nothing.
 */
#define _GNU_SOURCE
#include <netdb.h>
#include <nss.h>
#include <pthread.h>
#include <pwd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void without_modules(void) {
    __nss_configure_lookup("hosts", "files dns");
    __nss_configure_lookup("services", "files");
    __nss_configure_lookup("passwd", "files");
}

int __real_getaddrinfo(const char *, const char *, const struct addrinfo *, struct addrinfo **);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
    pthread_once(&once, without_modules);
    return __real_getaddrinfo(node, service, hints, result);
}

int __real_getpwuid_r(uid_t, struct passwd *, char *, size_t, struct passwd **);
int __wrap_getpwuid_r(uid_t uid, struct passwd *entry, char *buffer, size_t size, struct passwd **result) {
    pthread_once(&once, without_modules);
    return __real_getpwuid_r(uid, entry, buffer, size, result);
}
