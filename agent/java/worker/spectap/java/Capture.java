package spectap.java;

import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicReferenceArray;
import spectap.java.Connections.Connection;

/** Passes plaintext to the stub, in pieces, through a fixed number of buffers outside of the heap. */
final class Capture extends Advice.Target {
    static final int PIECE = 16_384; // bytes: of one event, and of a TLS record
    static final int BUFFERS = 32;

    private static final class Piece {
        final ByteBuffer bytes = ByteBuffer.allocateDirect(PIECE);
        final long address;

        Piece(Internals internals) throws ReflectiveOperationException {
            address = internals.address(bytes);
        }
    }

    private final Internals internals;
    private final Connections connections = new Connections(ended -> Stub.end(ended.number));
    private final AtomicReferenceArray<Piece> free = new AtomicReferenceArray<>(BUFFERS);

    Capture(Internals internals) throws ReflectiveOperationException {
        this.internals = internals;
        for (int i = 0; i < BUFFERS; i++) free.set(i, new Piece(internals));
    }

    @Override
    protected void negotiated(Object context) {
        try {
            Connection connection = connections.of(internals.transport(context), internals);
            if (connection != null)
                Stub.handshake(connection.number, socket(connection), internals.random(context));
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(error);
        }
    }

    @Override
    protected void sending(Object socket, byte[] bytes, int offset, int length) {
        pass(socket, true, ByteBuffer.wrap(bytes, offset, length));
    }

    @Override
    protected void received(Object socket, byte[] bytes, int offset, int length) {
        pass(socket, false, ByteBuffer.wrap(bytes, offset, length));
    }

    @Override
    protected void moved(Object engine, boolean sent, ByteBuffer[] buffers, int offset, int[] from) {
        for (int i = 0; i < from.length; i++) {
            ByteBuffer buffer = buffers[offset + i];
            int to = buffer.position();
            if (to <= from[i]) continue;
            ByteBuffer bytes = buffer.duplicate();
            bytes.limit(to).position(from[i]);
            pass(engine, sent, bytes);
        }
    }

    @Override
    protected void closed(Object connection) {
        connections.end(connection);
    }

    private int socket(Connection connection) throws ReflectiveOperationException {
        if (connection.descriptor != null) return internals.number(connection.descriptor);
        return connection.client ? Stub.CLIENT_ENGINE : Stub.SERVER_ENGINE;
    }

    private void pass(Object object, boolean sent, ByteBuffer bytes) {
        try {
            Connection connection = connections.of(object, internals);
            if (connection == null) return;
            int socket = socket(connection);
            while (bytes.hasRemaining()) {
                int length = Math.min(bytes.remaining(), PIECE);
                passPiece(connection.number, socket, sent, bytes.slice(bytes.position(), length));
                bytes.position(bytes.position() + length);
            }
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(error);
        }
    }

    /** Without a free buffer the kernel's programs count a gap: they find nothing at the address 0. */
    private void passPiece(long connection, int socket, boolean sent, ByteBuffer bytes) {
        int length = bytes.remaining();
        int at = (int) Thread.currentThread().getId() & (BUFFERS - 1);
        Piece piece = null;
        for (int i = 0; i < BUFFERS && piece == null; i++) {
            at = (at + 1) & (BUFFERS - 1);
            piece = free.getAndSet(at, null);
        }
        try {
            if (piece != null) piece.bytes.clear().put(bytes);
            long address = piece == null ? 0 : piece.address;
            if (sent) Stub.sent(connection, socket, address, length);
            else Stub.received(connection, socket, address, length);
        } finally {
            if (piece != null) free.set(at, piece);
        }
    }
}
