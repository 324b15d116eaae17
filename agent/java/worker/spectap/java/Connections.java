package spectap.java;

import java.io.FileDescriptor;
import java.lang.ref.Reference;
import java.lang.ref.ReferenceQueue;
import java.lang.ref.WeakReference;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/**
 * Numbers the program's connections, without keeping one alive. A number is never used twice: a later start begins at
 * a later time.
 */
final class Connections {
    static final int MOST = 65_536; // as many as the kernel's programs remember
    private static final long NO_ADDRESS = 1L << 62; // where native TLS in this program has no object
    private static final AtomicLong NUMBERS = new AtomicLong(NO_ADDRESS | System.nanoTime() & NO_ADDRESS - 1);

    /** What is known of an SSLSocket or SSLEngine. */
    static final class Connection extends WeakReference<Object> {
        final long number = NUMBERS.incrementAndGet();
        final FileDescriptor descriptor; // null for an SSLEngine
        final boolean client;
        private final int hash;

        Connection(Object of, FileDescriptor descriptor, boolean client, ReferenceQueue<Object> gone) {
            super(of, gone);
            this.hash = System.identityHashCode(of);
            this.descriptor = descriptor;
            this.client = client;
        }

        @Override
        public int hashCode() {
            return hash;
        }

        @Override
        public boolean equals(Object other) {
            Object mine = get();
            return this == other
                    || (mine != null && other instanceof Connection && ((Connection) other).get() == mine)
                    || (mine != null && other instanceof Wanted && ((Wanted) other).object == mine);
        }
    }

    /** Finds a connection by its object. */
    private static final class Wanted {
        final Object object;

        Wanted(Object object) {
            this.object = object;
        }

        @Override
        public int hashCode() {
            return System.identityHashCode(object);
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Connection && ((Connection) other).get() == object;
        }
    }

    private final ConcurrentHashMap<Object, Connection> known = new ConcurrentHashMap<>();
    private final ReferenceQueue<Object> gone = new ReferenceQueue<>();
    private final Consumer<Connection> ended;

    Connections(Consumer<Connection> ended) {
        this.ended = ended;
    }

    Connection find(Object object) {
        return known.get(new Wanted(object));
    }

    /** Its connection, made now if it is new; null if there are too many. */
    Connection of(Object object, Internals internals) throws ReflectiveOperationException {
        Connection found = find(object);
        if (found != null) return found;
        forgetGone();
        if (known.size() >= MOST) return null;
        Connection fresh =
                new Connection(object, internals.descriptor(object), internals.isClient(object), gone);
        Connection other = known.putIfAbsent(fresh, fresh);
        return other == null ? fresh : other;
    }

    void end(Object object) {
        Connection connection = find(object);
        if (connection != null && known.remove(connection, connection)) ended.accept(connection);
    }

    private void forgetGone() {
        for (Reference<?> one; (one = gone.poll()) != null; ) {
            if (known.remove(one) != null) ended.accept((Connection) one);
        }
    }
}
