/* Answers HTTP at 8000 and, with -DTLS, HTTPS at 8443; or, with URLs as arguments, posts to each and prints its last
   element once it is answered. One connection for each call. */
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef TLS
#include <openssl/ssl.h>
#else
typedef void SSL;
typedef void SSL_CTX;
#endif

#define BODY "{\"quantity\": 1}"
#define ANSWER "{\"answered\": true}"

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void put(SSL *tls, int at, const char *text) {
    int length = strlen(text), written;
#ifdef TLS
    written = tls ? SSL_write(tls, text, length) : write(at, text, length);
#else
    written = write(at, text, length);
#endif
    if (written != length)
        fail("write");
}

/* Reads until `end` was seen. */
static void get(SSL *tls, int at, const char *end) {
    char found[4096];
    int length = 0, some;
    do {
#ifdef TLS
        some = tls ? SSL_read(tls, found + length, sizeof found - 1 - length)
                   : read(at, found + length, sizeof found - 1 - length);
#else
        some = read(at, found + length, sizeof found - 1 - length);
#endif
        if (some <= 0)
            fail("read");
        found[length += some] = 0;
    } while (!strstr(found, end));
}

static SSL *secure(SSL_CTX *context, int at, int accepting) {
#ifdef TLS
    SSL *tls = SSL_new(context);
    SSL_set_fd(tls, at);
    if ((accepting ? SSL_accept(tls) : SSL_connect(tls)) != 1)
        fail("handshake");
    return tls;
#else
    fail("no TLS here");
    return NULL;
#endif
}

static void finish(SSL *tls, int at) {
#ifdef TLS
    if (tls)
        SSL_shutdown(tls);
#endif
    close(at);
}

static void serve(int port, SSL_CTX *context) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port)};
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 64))
        fail("listen");
    for (;;) {
        int at = accept(listener, NULL, NULL);
        if (at < 0)
            fail("accept");
        if (fork() == 0) { /* kubelet's probes say nothing: their connection ends this process alone */
            SSL *tls = context ? secure(context, at, 1) : NULL;
            get(tls, at, BODY);
            put(tls, at, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
                         "Content-Length: 18\r\n\r\n" ANSWER);
            finish(tls, at);
            exit(0);
        }
        close(at);
    }
}

static void call(char *url, SSL_CTX *context) {
    char host[256], port[8], request[1024];
    int secured = !strncmp(url, "https:", 6);
    struct addrinfo *found, wanted = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    char *path = strchr(strstr(url, "//") + 2, '/');
    if (sscanf(url, "%*[a-z]://%255[^:]:%7[0-9]", host, port) != 2 || getaddrinfo(host, port, &wanted, &found))
        fail(url);
    int at = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(at, found->ai_addr, found->ai_addrlen))
        fail("connect");
    SSL *tls = secured ? secure(context, at, 0) : NULL;
    snprintf(request, sizeof request, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                                      "Content-Length: 15\r\n\r\n" BODY, path, host);
    put(tls, at, request);
    get(tls, at, ANSWER);
    finish(tls, at);
    puts(strrchr(url, '/') + 1);
}

int main(int count, char **argv) {
    SSL_CTX *context = NULL;
    signal(SIGCHLD, SIG_IGN);
#ifdef TLS
    context = SSL_CTX_new(TLS_method());
    SSL_CTX_use_certificate_file(context, "/programs/certificate.pem", SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context, "/programs/key.pem", SSL_FILETYPE_PEM);
#endif
    for (int which = 1; which < count; which++)
        call(argv[which], context);
    if (count > 1)
        return 0;
    if (context && fork() == 0)
        serve(8443, context);
    serve(8000, NULL);
}
