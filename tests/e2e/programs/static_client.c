/* A TLS client linked statically with OpenSSL: static_client PORT CERTIFICATE TARGET...
 * One GET for each target, then for each line of standard input, on one connection that begins with the first;
 * each is answered before the next; prints the answers' bodies. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

static int connected(const char *port)
{
	struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof(server)))
		fail("cannot connect");
	return fd;
}

/* One answer with a Content-Length. */
static void read_answer(SSL *ssl)
{
	static char answer[1 << 20];
	int length = 0, whole = -1;
	while (whole < 0 || length < whole) {
		char *body, *field;
		int bytes = SSL_read(ssl, answer + length, sizeof(answer) - 1 - length);
		if (bytes <= 0)
			fail("no answer");
		length += bytes;
		answer[length] = 0;
		body = strstr(answer, "\r\n\r\n");
		field = strcasestr(answer, "\r\nContent-Length:");
		if (whole < 0 && body && field)
			whole = body + 4 - answer + atoi(field + 17);
	}
	puts(strstr(answer, "\r\n\r\n") + 4);
}

/* The next target, of the arguments or of standard input; NULL at its end. */
static const char *next_target(char ***arguments)
{
	static char line[512];
	if (**arguments)
		return *(*arguments)++;
	if (!fgets(line, sizeof(line), stdin))
		return NULL;
	line[strcspn(line, "\n")] = 0;
	return line;
}

static void get(SSL *ssl, const char *target)
{
	char request[1024];
	int length = snprintf(request, sizeof(request),
			      "GET %s HTTP/1.1\r\nHost: localhost\r\nX-Spectap-Test: %s\r\n\r\n", target,
			      strrchr(target, '/') + 1);
	if (SSL_write(ssl, request, length) != length)
		fail("no request");
	read_answer(ssl);
}

int main(int argc, char **argv)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	char **arguments = argv + 3;
	const char *target;
	if (argc < 3 || !SSL_CTX_load_verify_locations(context, argv[2], 0))
		fail("usage");
	for (int number = 0; (target = next_target(&arguments)); number++) {
		if (!number && (!SSL_set_fd(ssl, connected(argv[1])) || SSL_connect(ssl) != 1))
			fail("no handshake");
		get(ssl, target);
	}
	SSL_shutdown(ssl);
	SSL_free(ssl);
	return 0;
}
