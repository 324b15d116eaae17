/* What a thread does in a TLS library, so that the system calls it makes meanwhile name the socket.
 *
 *   state    event                                   next     what is done
 *   -------  --------------------------------------  -------  -----------------------------------------------
 *   outside  entry                                   inside   remember the object, the buffer, the stack
 *   outside  return                                  outside  nothing: an entry that was not seen
 *   inside   system call that carries a TLS record   inside   its socket is the object's (tls_learn_socket)
 *   inside   system call that carries anything else  inside   plain bytes of a callback, of its own socket
 *   inside   entry, lower on the stack               nested   set the outer call aside; remember the inner one
 *   inside   entry, not lower                        inside   the call before never returned (longjmp, signal)
 *   inside   return                                  outside  ship what passed
 *   nested   entry, lower on the stack               nested   as inside; of three only the two innermost count
 *   nested   return, below the outer call            inside   ship what passed; take the outer call up again
 *   nested   return, not below it                    outside  ship what passed; the outer call never returned
 *   any      exit of the thread                      -        the entry goes
 *
 * Calls nest since a library may call back, and what it calls may enter it again (Node's handlers, from within
 * a handshake). The entry stays with its thread: only that thread reads or writes it, so a pointer to it stays
 * good across preemption. */

#define OUTER_CALLS 1024 /* threads at once that are nested */

/* Where the bytes of plaintext are that a call carries. */
enum plaintext {
	PLAINTEXT_NONE = 0, /* there are none: only the socket is learnt (a handshake) */
	PLAINTEXT_BUFFER,
	PLAINTEXT_FILE,     /* in a file that the kernel sends and encrypts (kTLS): they are only counted */
};

struct tls_call {
	u64 object;  /* the library's connection, such as SSL *; 0 is outside */
	u64 sk;      /* set by the system call, 0 until then */
	u64 stack;   /* the stack pointer at entry */
	u64 buffer;
	u64 length;  /* where the library stores how many bytes passed; 0 where it returns that */
	u64 time_ns;
	u32 direction;
	u8 source;        /* the library, by its row in agent/probes/tls.py */
	u8 plaintext;     /* by enum plaintext */
	u8 is_nested;
	u8 padding;
};

BPF_HASH(tls_calls, u32, struct tls_call, THREADS); /* by thread id, as the next */
BPF_TABLE("lru_hash", u32, struct tls_call, outer_tls_calls, OUTER_CALLS);
BPF_ARRAY(zero_tls_call, struct tls_call, 1); /* never written: a new entry's value, too large for the stack */

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

/* The thread is outside again, or back in the call around this one. */
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
