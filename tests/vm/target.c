/* A function for a uprobe to sit on, called over and over for so many seconds: `target SECONDS`. */
#include <stdlib.h>
#include <time.h>

__attribute__((noinline)) void target(void)
{
	__asm__ volatile("nop; nop; nop; nop");
}

int main(int count, char **arguments)
{
	time_t end = time(0) + (count > 1 ? atoi(arguments[1]) : 1);
	while (time(0) < end)
		target();
	return 0;
}
