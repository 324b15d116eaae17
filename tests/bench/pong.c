/* Redis' protocol at full speed, in one process: `pong CONNECTIONS COMMANDS`. A thread answers, another asks over so
 * many connections, one command each at a time. Prints the CPU time of a command at both ends, in microseconds. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define MOST 64

static const char command[] = "*2\r\n$3\r\nGET\r\n$8\r\nuser:123\r\n", answer[] = "$5\r\nhello\r\n";

static int add(int all, int socket)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = socket};
	return epoll_ctl(all, EPOLL_CTL_ADD, socket, &event);
}

/* Reads from each socket that has something, and writes `text`; returns how many, less than 0 for an error. */
static int turn(int all, const char *text, size_t size)
{
	struct epoll_event ready[MOST];
	char buffer[4096];
	int count = epoll_wait(all, ready, MOST, -1);
	for (int i = 0; i < count; i++)
		if (read(ready[i].data.fd, buffer, sizeof(buffer)) <= 0 || write(ready[i].data.fd, text, size) < 0)
			return -1;
	return count;
}

static void *serve(void *all)
{
	while (turn(*(int *)all, answer, sizeof(answer) - 1) >= 0)
		;
	return 0;
}

static double cpu_us(void)
{
	struct rusage used;
	getrusage(RUSAGE_SELF, &used);
	return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 + used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

int main(int count, char **arguments)
{
	int asking = epoll_create1(0), answering = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM, 0), done = 0;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	double began;
	pthread_t thread;
	if (count < 3 || bind(listener, (void *)&address, size) || listen(listener, MOST) ||
	    getsockname(listener, (void *)&address, &size))
		return 1;
	for (int i = 0; i < atoi(arguments[1]); i++) {
		int client = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(client, (void *)&address, size) || add(asking, client) ||
		    add(answering, accept(listener, 0, 0)) || write(client, command, sizeof(command) - 1) < 0)
			return 1;
	}
	pthread_create(&thread, 0, serve, &answering);
	began = cpu_us();
	while (done < atoi(arguments[2])) {
		int more = turn(asking, command, sizeof(command) - 1);
		if (more < 0)
			return 1;
		done += more;
	}
	printf("%.4f\n", (cpu_us() - began) / done);
	return 0;
}
