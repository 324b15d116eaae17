package spectap.java;

import java.io.IOException;
import java.lang.instrument.Instrumentation;
import java.lang.reflect.InvocationTargetException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Consumer;

/**
 * Begins in a running virtual machine. All that works is in a second jar with a loader of its own (Worker), so that it
 * can be unloaded at the end, and a later agent uses its own version.
 */
public final class Agent {
    private Agent() {}

    /** The argument is the folder that the agent has filled. What became of it is written there, and nowhere else. */
    public static void agentmain(String argument, Instrumentation instrumentation) {
        Path folder = Path.of(argument);
        try {
            URL[] jars = {folder.resolve("worker.jar").toUri().toURL()};
            URLClassLoader loader = new URLClassLoader("spectap", jars, null);
            Consumer<String> state = text -> write(folder, text);
            Class.forName("spectap.java.Boot", true, loader)
                    .getMethod("start", Path.class, Instrumentation.class, URLClassLoader.class, Consumer.class)
                    .invoke(null, folder, instrumentation, loader, state);
        } catch (Throwable error) {
            write(folder, "failed: " + cause(error));
        }
    }

    private static Throwable cause(Throwable error) {
        return error instanceof InvocationTargetException ? cause(error.getCause()) : error;
    }

    private static void write(Path folder, String text) {
        try {
            Files.writeString(folder.resolve("state"), text);
        } catch (IOException | RuntimeException error) {
            // the agent waits no longer than for a machine that hangs
        }
    }
}
