/* The TLS call that a thread is in, so that system calls made during it identify the socket.
 *
 *   state    event                                   next     what is done
 *   -------  --------------------------------------  -------  -----------------------------------------------
 *   outside  entry                                   inside   remember the object, the buffer, the stack
 *   outside  return                                  outside  nothing: the entry was missed
 *   inside   system call that carries a TLS record   inside   its socket becomes the object's (tls_learn_socket)
 *   inside   system call that carries anything else  inside   plain bytes of a callback, on a socket of its own
 *   inside   entry, lower on the stack               nested   set the outer call aside; remember the inner one
 *   inside   entry, not lower                        inside   the previous call never returned (longjmp, signal)
 *   inside   return                                  outside  ship the bytes
 *   nested   entry, lower on the stack               nested   as inside; of three calls the two innermost are kept
 *   nested   return, below the outer call            inside   ship the bytes; restore the outer call
 *   nested   return, not below it                    outside  ship the bytes; the outer call never returned
 *   any      exit of the thread                      -        the entry is deleted
 *
 * Calls nest: a library may call back, and the callback may call the library again (as Node's handlers do during a
 * handshake). Only its own thread reads or writes an entry, so a pointer to it stays valid across preemption. */

#define OUTER_CALLS 1024 /* maximum number of threads in nested calls */

/* Where a call's plaintext is. */
enum plaintext {
	PLAINTEXT_NONE = 0, /* none: the call only identifies the socket (a handshake) */
	PLAINTEXT_BUFFER,
	PLAINTEXT_FILE,     /* in a file that the kernel encrypts and sends (kTLS): bytes are only counted */
	PLAINTEXT_KEPT,     /* in the library, from an earlier unfinished call: bytes are only counted */
	PLAINTEXT_SHOWN,    /* in earlier calls, which shipped it: the call only identifies the socket */
};

struct tls_call {
	u64 object;  /* the library's connection, such as SSL *; 0: outside */
	u64 sk;      /* set by the system call, 0 until then */
	u64 stack;   /* the stack pointer at entry */
	u64 buffer;
	u64 length;  /* address where the library stores the number of bytes; 0 if it returns the number */
	u64 time_ns;
	u32 direction;
	u8 source;        /* the library, by its row in agent/probes/tls.py */
	u8 plaintext;     /* by enum plaintext */
	u8 is_nested;
	u8 padding;
};

BPF_HASH(tls_calls, u32, struct tls_call, SIZED); /* by thread id, like the next map */
BPF_TABLE("lru_hash", u32, struct tls_call, outer_tls_calls, OUTER_CALLS);
BPF_ARRAY(zero_tls_call, struct tls_call, 1); /* never written; the value of new entries, too large for the stack */

static inline struct tls_call *tls_call_of(u32 tid)
{
	struct tls_call *call = tls_calls.lookup(&tid), *zero;
	int first = 0;
	if (call)
		return call;
	zero = zero_tls_call.lookup(&first);
	if (zero)
		tls_calls.insert(&tid, zero);
	return tls_calls.lookup(&tid);
}

/* Handles a call's return: the thread is outside, or back in the outer call. */
static inline void tls_leave(u64 stack, u32 tid, struct tls_call *call)
{
	struct tls_call *outer;
	call->object = 0;
	if (!call->is_nested)
		return;
	outer = outer_tls_calls.lookup(&tid);
	if (!outer || outer->stack <= stack)
		return;
	*call = *outer;
	outer_tls_calls.delete(&tid);
}
