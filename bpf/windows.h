/* While a thread is inside a TLS library's call, the system calls it makes there name the socket. The entry
 * stays with the thread until it ends, as a call's does. The library may call back, and what it calls may
 * enter it again (Node's handlers, from within a handshake): then the outer window waits, and is what it was
 * after the inner one's return. The stack pointer tells an outer window from one that was never left. */

#define OUTER_WINDOWS 1024 /* threads at once that are in two */

struct window {
	u64 ssl;     /* 0 between calls */
	u64 sk;      /* set by the system call, 0 until then */
	u64 stack;   /* the stack pointer at entry */
	u64 buffer;
	u64 length;  /* _ex forms: where the library stores how many bytes passed; else 0 */
	u64 time_ns;
	u32 direction;
	u32 carries; /* not 0: plaintext passes (read, write), else only the socket is learnt */
	u64 is_inner;
};

BPF_HASH(windows, u32, struct window, THREADS);
BPF_TABLE("lru_hash", u32, struct window, outer_windows, OUTER_WINDOWS);
