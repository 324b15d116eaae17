package spectap.java;

import java.io.FileDescriptor;
import java.lang.reflect.AccessibleObject;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.net.Socket;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLSocket;

/** Reads what the JDK (17 to 23) keeps to itself. A JDK without one of these fields is refused at the start. */
final class Internals {
    private static final String TLS = "sun.security.ssl.";
    private final Field bufferAddress = Buffer.class.getDeclaredField("address");
    private final Field number = FileDescriptor.class.getDeclaredField("fd");
    private final Field below = field("BaseSSLSocketImpl", "self");
    private final Field implementation = Socket.class.getDeclaredField("impl");
    private final Method descriptor = Class.forName("java.net.SocketImpl").getDeclaredMethod("getFileDescriptor");
    private final Field transport = field("TransportContext", "transport");
    private final Field handshake = field("TransportContext", "handshakeContext");
    private final Field random = field("HandshakeContext", "clientHelloRandom");
    private final Field randomBytes = field("RandomCookie", "randomBytes");

    Internals() throws ReflectiveOperationException {
        AccessibleObject.setAccessible(
                new AccessibleObject[] {
                    bufferAddress, number, below, implementation, descriptor, transport, handshake, random, randomBytes
                },
                true);
    }

    private static Field field(String type, String name) throws ReflectiveOperationException {
        return Class.forName(TLS + type).getDeclaredField(name);
    }

    long address(ByteBuffer direct) throws ReflectiveOperationException {
        return bufferAddress.getLong(direct);
    }

    /** Of the socket that an SSLSocket is, or is layered over; null of an SSLEngine, or of TLS within TLS. */
    FileDescriptor descriptor(Object connection) throws ReflectiveOperationException {
        if (!(connection instanceof SSLSocket)) return null;
        Object socket = below.get(connection);
        if (socket != connection && socket instanceof SSLSocket) return null;
        Object opened = implementation.get(socket);
        return opened == null ? null : (FileDescriptor) descriptor.invoke(opened);
    }

    int number(FileDescriptor descriptor) throws ReflectiveOperationException {
        return number.getInt(descriptor);
    }

    boolean isClient(Object connection) {
        return connection instanceof SSLEngine
                ? ((SSLEngine) connection).getUseClientMode()
                : ((SSLSocket) connection).getUseClientMode();
    }

    /** The SSLSocket or SSLEngine of a TransportContext. */
    Object transport(Object context) throws ReflectiveOperationException {
        return transport.get(context);
    }

    /** Half of the random of the client's hello, as the kernel's programs read it; 0 if there is none. */
    long random(Object context) throws ReflectiveOperationException {
        Object current = handshake.get(context);
        Object cookie = current == null ? null : random.get(current);
        byte[] bytes = cookie == null ? null : (byte[]) randomBytes.get(cookie);
        if (bytes == null || bytes.length < Long.BYTES) return 0;
        return ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder()).getLong();
    }
}
