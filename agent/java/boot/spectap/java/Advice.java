package spectap.java;

import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicLong;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLEngineResult;

/**
 * What the changed methods of the JDK call (Patch). It is loaded once, by the bootstrap loader, which unloads nothing,
 * and so knows no more than whom to pass calls on to. Nothing that goes wrong below reaches the program.
 */
public final class Advice {
    /** Takes the calls while the agent captures. */
    public abstract static class Target {
        /** A handshake is about to be over; the argument is a TransportContext. */
        protected abstract void negotiated(Object transport);

        /** An SSLSocket is about to send, or has received. */
        protected abstract void sending(Object socket, byte[] bytes, int offset, int length);

        protected abstract void received(Object socket, byte[] bytes, int offset, int length);

        /** An SSLEngine has moved bytes out of or into these buffers, from these positions on. */
        protected abstract void moved(Object engine, boolean sent, ByteBuffer[] buffers, int offset, int[] from);

        protected abstract void closed(Object connection);
    }

    public static volatile Target target;
    public static final AtomicLong failures = new AtomicLong();

    private Advice() {}

    public static void negotiated(Object transport) {
        Target current = target;
        if (current == null) return;
        try {
            current.negotiated(transport);
        } catch (Throwable error) {
            failures.incrementAndGet();
        }
    }

    public static void sending(Object socket, byte[] bytes, int offset, int length) {
        Target current = target;
        if (current == null) return;
        try {
            current.sending(socket, bytes, offset, length);
        } catch (Throwable error) {
            failures.incrementAndGet();
        }
    }

    public static void received(int length, Object socket, byte[] bytes, int offset) {
        Target current = target;
        if (current == null || length <= 0) return;
        try {
            current.received(socket, bytes, offset, length);
        } catch (Throwable error) {
            failures.incrementAndGet();
        }
    }

    /** The buffers' positions before a call; null if they are not to be compared after it. */
    public static int[] positions(ByteBuffer[] buffers, int offset, int length) {
        if (target == null || buffers == null) return null;
        try {
            int[] from = new int[length];
            for (int i = 0; i < length; i++) from[i] = buffers[offset + i].position();
            return from;
        } catch (Throwable error) {
            return null; // the call itself will complain
        }
    }

    public static void moved(
            SSLEngineResult result, Object engine, boolean sent, ByteBuffer[] buffers, int offset, int[] from) {
        Target current = target;
        if (current == null) return;
        try {
            if (from != null) current.moved(engine, sent, buffers, offset, from);
            if (result.getStatus() == SSLEngineResult.Status.CLOSED && isOver((SSLEngine) engine))
                current.closed(engine);
        } catch (Throwable error) {
            failures.incrementAndGet();
        }
    }

    private static boolean isOver(SSLEngine engine) {
        return engine.isInboundDone() && engine.isOutboundDone();
    }

    public static void closed(Object connection) {
        Target current = target;
        if (current == null) return;
        try {
            current.closed(connection);
        } catch (Throwable error) {
            failures.incrementAndGet();
        }
    }
}
