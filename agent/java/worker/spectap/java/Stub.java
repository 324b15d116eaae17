package spectap.java;

/** The functions of stub.c: called, they do nothing, and the kernel's programs see the arguments. */
final class Stub {
    static final int CLIENT_ENGINE = -1; // in place of a socket's descriptor
    static final int SERVER_ENGINE = -2;

    private Stub() {}

    static native void handshake(long connection, int socket, long random);

    static native void sent(long connection, int socket, long address, int length);

    static native void received(long connection, int socket, long address, int length);

    static native void end(long connection);
}
