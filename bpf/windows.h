/* While a thread is inside a TLS library's call, the system calls it makes there name the socket. The entry
 * stays with the thread until it ends, as a call's does. */

struct window {
	u64 ssl;     /* 0 between calls */
	u64 sk;      /* set by the system call, 0 until then */
	u64 buffer;
	u64 length;  /* _ex forms: where the library stores how many bytes passed; else 0 */
	u64 time_ns;
	u32 direction;
	u32 carries; /* not 0: plaintext passes (read, write), else only the socket is learnt */
};

BPF_HASH(windows, u32, struct window, THREADS);
