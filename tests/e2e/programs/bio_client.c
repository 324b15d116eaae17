/* GETs a URL's path as OpenSSL's manual shows it, through a chain of BIOs: bio_client HOST:PORT PATH HEADER. Prints
 * what the server answered. Declared here are the functions that it calls, since no headers may be installed. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct ssl_ctx SSL_CTX;
typedef struct bio BIO;
const void *TLS_client_method(void);
SSL_CTX *SSL_CTX_new(const void *);
BIO *BIO_new_ssl_connect(SSL_CTX *);
long BIO_ctrl(BIO *, int, long, void *);
int BIO_puts(BIO *, const char *);
int BIO_read(BIO *, void *, int);
void BIO_free_all(BIO *);

#define BIO_C_SET_CONNECT 100

/* How long the whole answer is, 0 while that is not known. */
static size_t length_of(const char *answer)
{
	const char *end = strstr(answer, "\r\n\r\n"), *length = strcasestr(answer, "\r\nContent-Length:");
	return end && length ? (size_t)(end + 4 - answer) + strtoul(length + 17, 0, 10) : 0;
}

int main(int count, char **words)
{
	static char request[4096], answer[65536];
	size_t whole, had = 0;
	int size;
	BIO *bio = BIO_new_ssl_connect(SSL_CTX_new(TLS_client_method()));
	if (count != 4 || !bio)
		return 2;
	BIO_ctrl(bio, BIO_C_SET_CONNECT, 0, words[1]);
	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: bio\r\n%s\r\n\r\n", words[2], words[3]);
	if (BIO_puts(bio, request) <= 0)
		return 1;
	while ((size = BIO_read(bio, answer + had, sizeof(answer) - 1 - had)) > 0) {
		had += size;
		whole = length_of(answer);
		if (whole && had >= whole)
			break;
	}
	puts(answer);
	BIO_free_all(bio);
	return 0;
}
