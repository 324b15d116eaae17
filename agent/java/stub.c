/* The functions that the kernel's programs are attached to (bpf/tls_java.c). They do nothing, call nothing and touch
 * no memory, so they cannot fail; the arguments are all that matters. Without the C library, any Linux can load
 * them. */

typedef long long jlong;
typedef int jint;

#define EXPORTED __attribute__((visibility("default"), noinline))
#define KEPT __asm__ volatile("nop")

EXPORTED void Java_spectap_java_Stub_handshake(void *env, void *class, jlong connection, jint socket, jlong random)
{
	KEPT;
}

EXPORTED void Java_spectap_java_Stub_sent(void *env, void *class, jlong connection, jint socket, jlong address, jint length)
{
	KEPT;
}

EXPORTED void Java_spectap_java_Stub_received(void *env, void *class, jlong connection, jint socket, jlong address, jint length)
{
	KEPT;
}

EXPORTED void Java_spectap_java_Stub_end(void *env, void *class, jlong connection)
{
	KEPT;
}
