package spectap.java;

import java.io.IOException;
import java.io.InputStream;
import java.lang.instrument.Instrumentation;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.security.ProtectionDomain;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

/**
 * Defines Advice for the bootstrap loader, whose classes call it. A jar on its search path would do as well, but the
 * machine would give up sharing its archive of classes, and say so on the program's output.
 */
public final class Boot {
    private static final String[] CLASSES = {"spectap/java/Advice$Target", "spectap/java/Advice"};
    private static final String ASM = "jdk.internal.org.objectweb.asm";
    private static final String UNSAFE = "jdk.internal.misc.Unsafe";

    private Boot() {}

    /** Called by Agent. */
    public static void start(
            Path folder, Instrumentation instrumentation, URLClassLoader loader, Consumer<String> state)
            throws Exception {
        open(instrumentation);
        define();
        Class.forName("spectap.java.Worker") // which cannot be loaded before
                .getMethod("start", Path.class, Instrumentation.class, URLClassLoader.class, Consumer.class)
                .invoke(null, folder, instrumentation, loader, state);
    }

    /** Opens to the module of this loader alone, and as long as it lives, what the classes here use of the JDK. */
    private static void open(Instrumentation instrumentation) {
        Set<Module> us = Set.of(Boot.class.getModule());
        instrumentation.redefineModule(
                Object.class.getModule(),
                Set.of(),
                Map.of("jdk.internal.misc", us, ASM, us, ASM + ".commons", us),
                Map.of("java.nio", us, "java.io", us, "java.net", us, "sun.security.ssl", us),
                Set.of(),
                Map.of());
    }

    private static void define() throws ReflectiveOperationException, IOException {
        if (isDefined()) return;
        Class<?> unsafe = Class.forName(UNSAFE);
        Method define = unsafe.getMethod(
                "defineClass",
                String.class,
                byte[].class,
                int.class,
                int.class,
                ClassLoader.class,
                ProtectionDomain.class);
        Object instance = unsafe.getMethod("getUnsafe").invoke(null);
        for (String name : CLASSES) {
            byte[] code = code(name);
            try {
                define.invoke(instance, name, code, 0, code.length, null, null);
            } catch (InvocationTargetException error) {
                if (!(error.getCause() instanceof LinkageError)) throw error; // an earlier start was cut short
            }
        }
    }

    private static boolean isDefined() {
        try {
            Class.forName("spectap.java.Advice", false, null);
            return true;
        } catch (ClassNotFoundException error) {
            return false;
        }
    }

    private static byte[] code(String name) throws IOException {
        try (InputStream code = Boot.class.getResourceAsStream("/boot/" + name + ".class")) {
            if (code == null) throw new IOException("worker.jar has no " + name);
            return code.readAllBytes();
        }
    }
}
