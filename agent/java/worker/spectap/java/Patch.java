package spectap.java;

import java.lang.instrument.ClassFileTransformer;
import java.security.ProtectionDomain;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import jdk.internal.org.objectweb.asm.ClassReader;
import jdk.internal.org.objectweb.asm.ClassVisitor;
import jdk.internal.org.objectweb.asm.ClassWriter;
import jdk.internal.org.objectweb.asm.MethodVisitor;
import jdk.internal.org.objectweb.asm.Opcodes;
import jdk.internal.org.objectweb.asm.Type;
import jdk.internal.org.objectweb.asm.commons.AdviceAdapter;
import jdk.internal.org.objectweb.asm.commons.Method;

/**
 * Adds calls of Advice to methods of the JDK's TLS, at their entry and before they return, by the JDK's own ASM, which
 * knows its class files. What is added neither branches nor throws.
 */
final class Patch implements ClassFileTransformer {
    private static final int API = Opcodes.ASM8;
    private static final String TLS = "sun/security/ssl/";
    private static final String SOCKET = TLS + "SSLSocketImpl";
    private static final String ENGINE = TLS + "SSLEngineImpl";
    private static final String BUFFERS = "[Ljava/nio/ByteBuffer;";
    private static final String RESULT = "Ljavax/net/ssl/SSLEngineResult;";
    private static final String RECORD = "(" + BUFFERS + "II" + BUFFERS + "II)" + RESULT;
    private static final Type ADVICE = Type.getObjectType("spectap/java/Advice");

    /** A method, and what is added at its entry, or before its only call of the method `before`, and before it returns. */
    private enum Place {
        NEGOTIATED(TLS + "TransportContext", "finishHandshake", "()Ljavax/net/ssl/SSLEngineResult$HandshakeStatus;") {
            @Override
            void enter(Advised method) {
                method.loadThis();
                method.advise("negotiated", "(Ljava/lang/Object;)V");
            }
        },
        // A first write makes the handshake: what is sent comes after it, as on the wire.
        SEND(SOCKET + "$AppOutputStream", "write", "([BII)V", "deliver") {
            @Override
            void enter(Advised method) {
                method.loadOuter(SOCKET);
                method.loadArgs();
                method.advise("sending", "(Ljava/lang/Object;[BII)V");
            }
        },
        RECEIVE(SOCKET + "$AppInputStream", "read", "([BII)I") {
            @Override
            void leave(Advised method) {
                method.dup();
                method.loadOuter(SOCKET);
                method.loadArgs(0, 2);
                method.advise("received", "(ILjava/lang/Object;[BI)V");
            }
        },
        CLOSE(SOCKET, "close", "()V") {
            @Override
            void leave(Advised method) {
                method.loadThis();
                method.advise("closed", "(Ljava/lang/Object;)V");
            }
        },
        WRAP(ENGINE, "writeRecord", RECORD) {
            @Override
            void enter(Advised method) {
                method.rememberPositions(0);
            }

            @Override
            void leave(Advised method) {
                method.compare(true, 0);
            }
        },
        UNWRAP(ENGINE, "readRecord", RECORD) {
            @Override
            void enter(Advised method) {
                method.rememberPositions(3);
            }

            @Override
            void leave(Advised method) {
                method.compare(false, 3);
            }
        };

        final String type;
        final String name;
        final String descriptor;
        final String before;
        final int arguments;

        Place(String type, String name, String descriptor) {
            this(type, name, descriptor, null);
        }

        Place(String type, String name, String descriptor, String before) {
            this.type = type;
            this.name = name;
            this.descriptor = descriptor;
            this.before = before;
            this.arguments = Type.getArgumentTypes(descriptor).length; // none takes two slots
        }

        void enter(Advised method) {}

        void leave(Advised method) {}
    }

    private static final class Advised extends AdviceAdapter {
        private final Place place;
        private int positions;
        private int entered;

        Advised(MethodVisitor next, int access, Place place) {
            super(API, next, access, place.name, place.descriptor);
            this.place = place;
        }

        @Override
        protected void onMethodEnter() {
            if (place.before == null) enter();
        }

        @Override
        public void visitMethodInsn(int opcode, String owner, String name, String descriptor, boolean isInterface) {
            if (name.equals(place.before)) enter();
            super.visitMethodInsn(opcode, owner, name, descriptor, isInterface);
        }

        private void enter() {
            entered++;
            place.enter(this);
        }

        @Override
        public void visitEnd() {
            if (entered != 1) throw new IllegalStateException(place + " is entered " + entered + " times");
            super.visitEnd();
        }

        @Override
        protected void onMethodExit(int opcode) {
            if (opcode != ATHROW) place.leave(this);
        }

        /** The arguments are read before it returns, and so must still be what they were. */
        @Override
        public void visitVarInsn(int opcode, int local) {
            if (opcode >= ISTORE && opcode <= ASTORE && local <= place.arguments)
                throw new IllegalStateException(place + " assigns an argument");
            super.visitVarInsn(opcode, local);
        }

        void advise(String name, String descriptor) {
            invokeStatic(ADVICE, new Method(name, descriptor));
        }

        /** The object around that of an inner class. */
        void loadOuter(String outer) {
            loadThis();
            getField(Type.getObjectType(place.type), "this$0", Type.getObjectType(outer));
        }

        /** Of the buffers that are this argument and, by offset and length, the next two. */
        void rememberPositions(int argument) {
            positions = newLocal(Type.getType("[I"));
            loadArgs(argument, 3);
            advise("positions", "(" + BUFFERS + "II)[I");
            storeLocal(positions);
        }

        void compare(boolean sent, int argument) {
            dup();
            loadThis();
            push(sent);
            loadArgs(argument, 2);
            loadLocal(positions);
            advise("moved", "(" + RESULT + "Ljava/lang/Object;Z" + BUFFERS + "I[I)V");
        }
    }

    private final Set<Place> found = Collections.synchronizedSet(EnumSet.noneOf(Place.class));
    private final Consumer<Throwable> failed;

    Patch(Consumer<Throwable> failed) {
        this.failed = failed;
    }

    /** The classes to change. */
    static Set<String> types() {
        Set<String> types = new TreeSet<>();
        for (Place place : Place.values()) types.add(place.type.replace('/', '.'));
        return types;
    }

    /** Whether all places were found, and every class was changed. */
    boolean isComplete() {
        return found.size() == Place.values().length;
    }

    @Override
    public byte[] transform(
            Module module, ClassLoader loader, String type, Class<?> old, ProtectionDomain domain, byte[] code) {
        Set<Place> places = EnumSet.noneOf(Place.class);
        for (Place place : Place.values()) if (loader == null && place.type.equals(type)) places.add(place);
        if (places.isEmpty()) return null;
        try {
            byte[] changed = changed(code, places);
            found.addAll(places);
            return changed;
        } catch (Throwable error) {
            failed.accept(error); // the class stays as it is
            return null;
        }
    }

    private static byte[] changed(byte[] code, Set<Place> places) {
        Set<Place> missing = EnumSet.copyOf(places);
        ClassReader reader = new ClassReader(code);
        ClassWriter writer = new ClassWriter(reader, ClassWriter.COMPUTE_MAXS);
        reader.accept(
                new ClassVisitor(API, writer) {
                    @Override
                    public MethodVisitor visitMethod(
                            int access, String name, String descriptor, String signature, String[] exceptions) {
                        MethodVisitor next = super.visitMethod(access, name, descriptor, signature, exceptions);
                        for (Place place : places) {
                            if (place.name.equals(name) && place.descriptor.equals(descriptor)) {
                                missing.remove(place);
                                return new Advised(next, access, place);
                            }
                        }
                        return next;
                    }
                },
                ClassReader.EXPAND_FRAMES);
        if (!missing.isEmpty()) throw new IllegalStateException("this JDK has no " + missing);
        return writer.toByteArray();
    }
}
