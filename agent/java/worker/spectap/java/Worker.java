package spectap.java;

import java.io.IOException;
import java.lang.instrument.ClassFileTransformer;
import java.lang.instrument.Instrumentation;
import java.net.URLClassLoader;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;

/**
 * Changes the JDK's TLS classes, and puts them back when the agent lets go of the lock of the file `lock`: it does so
 * at its end, and the kernel does so for it if it is killed.
 *
 * <pre>
 * state of the folder's file    event                           next
 * ----------------------------  ------------------------------  ------------------------------------------------
 * (none)                        all classes are changed         attached; calls are passed on
 * (none)                        anything fails                  failed, with the reason; classes are put back
 * attached                      the lock is free                classes are put back; ended, with what went wrong
 * </pre>
 */
public final class Worker implements Runnable {
    private final Path folder;
    private final Instrumentation instrumentation;
    private final URLClassLoader loader;
    private final Consumer<String> state;
    private final AtomicReference<Throwable> error = new AtomicReference<>();
    private final Patch patch = new Patch(error::set);
    private Class<?>[] types;
    private FileChannel lock;

    private Worker(
            Path folder, Instrumentation instrumentation, URLClassLoader loader, Consumer<String> state) {
        this.folder = folder;
        this.instrumentation = instrumentation;
        this.loader = loader;
        this.state = state;
    }

    /** Called by Boot, within the virtual machine's own thread for such requests. */
    public static void start(
            Path folder, Instrumentation instrumentation, URLClassLoader loader, Consumer<String> state)
            throws Exception {
        new Worker(folder, instrumentation, loader, state).start();
    }

    private void start() throws Exception {
        if (Advice.target != null) throw new IllegalStateException("another agent captures this program's TLS");
        lock = FileChannel.open(folder.resolve("lock"), StandardOpenOption.READ);
        try {
            System.load(folder.resolve("libspectap_java.so").toString());
            Capture capture = new Capture(new Internals());
            types = types();
            change(patch);
            if (!patch.isComplete()) throw new IllegalStateException("classes were not changed", error.get());
            Advice.target = capture;
            Thread thread = new Thread(null, this, "spectap", 0, false);
            thread.setDaemon(true);
            thread.setContextClassLoader(null);
            thread.start();
        } catch (Throwable failure) {
            end();
            throw failure;
        }
        state.accept("attached");
    }

    /** Waits for the agent's end. */
    @Override
    public void run() {
        try {
            lock.lock(0, Long.MAX_VALUE, true);
        } catch (IOException | RuntimeException failure) {
            error.compareAndSet(null, failure);
        }
        end();
        Throwable failure = error.get();
        long calls = Advice.failures.get();
        state.accept("ended " + calls + (failure == null ? "" : " " + failure));
        removeFolder();
    }

    /** An agent that was killed does not. */
    private void removeFolder() {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            for (Path file : files) Files.deleteIfExists(file);
            Files.deleteIfExists(folder);
        } catch (IOException | RuntimeException failure) {
            // the agent is removing it at the same time
        }
    }

    private void end() {
        Advice.target = null;
        try {
            instrumentation.removeTransformer(patch);
            if (types != null) instrumentation.retransformClasses(types);
        } catch (Throwable failure) {
            error.set(failure);
        }
        close(lock);
        close(loader);
    }

    private void change(ClassFileTransformer how) throws Exception {
        instrumentation.addTransformer(how, true);
        instrumentation.retransformClasses(types);
    }

    private static Class<?>[] types() throws ClassNotFoundException {
        Class<?>[] types = new Class<?>[Patch.types().size()];
        int at = 0;
        for (String name : Patch.types()) types[at++] = Class.forName(name, false, null);
        return types;
    }

    private void close(AutoCloseable open) {
        try {
            open.close();
        } catch (Exception failure) {
            error.compareAndSet(null, failure);
        }
    }
}
