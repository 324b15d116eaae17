import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.KeyStore;
import java.util.Base64;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.TrustManagerFactory;

/**
 * Either end of the tests' calls in Java, on the JDK alone: "engine" (HttpsServer) and "socket" (SSLSocket) print their
 * port and echo; "h1", "h2" (HttpClient), "url" (HttpURLConnection) and "bare" (SSLSocket) make the calls of standard
 * input, each a line of method, target, id and body in base 64, and print the status of each. The second argument is a
 * key store.
 */
public final class Calls {
    static final String ID = "X-Spectap-Test";
    static final String PASSWORD = "changeit";

    public static void main(String[] arguments) throws Exception {
        SSLContext context = context(arguments[1]);
        switch (arguments[0]) {
            case "engine" -> serveByEngine(context);
            case "socket" -> serveBySocket(context);
            default -> call(context, arguments[0], arguments[2]);
        }
    }

    private static KeyStore store(String file) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream in = new FileInputStream(file)) {
            store.load(in, PASSWORD.toCharArray());
        }
        return store;
    }

    static KeyManagerFactory keys(String file) throws Exception {
        KeyManagerFactory keys = KeyManagerFactory.getInstance("SunX509");
        keys.init(store(file), PASSWORD.toCharArray());
        return keys;
    }

    /** Trusts the certificate that is in the file. */
    static TrustManagerFactory trusted(String file) throws Exception {
        KeyStore store = store(file);
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        String alias = store.aliases().nextElement();
        trusted.setCertificateEntry(alias, store.getCertificate(alias));
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(trusted);
        return trust;
    }

    static SSLContext context(String file) throws Exception {
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys(file).getKeyManagers(), trusted(file).getTrustManagers(), null);
        return context;
    }

    static byte[] answer(String target, byte[] body) {
        String[] parts = target.split("/");
        if (parts[1].equals("bytes"))
            return ("[\"" + "a long answer ".repeat(Integer.parseInt(parts[2]) / 14) + "\"]").getBytes();
        return body.length > 0 ? body : ("{\"target\":\"" + target + "\"}").getBytes();
    }

    private static void serveByEngine(SSLContext context) throws IOException {
        HttpsServer server = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setHttpsConfigurator(new HttpsConfigurator(context));
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.createContext("/", Calls::echo);
        server.start();
        System.out.println(server.getAddress().getPort());
    }

    private static void echo(HttpExchange exchange) throws IOException {
        byte[] body = exchange.getRequestBody().readAllBytes();
        byte[] answer = answer(exchange.getRequestURI().toString(), body);
        String id = exchange.getRequestHeaders().getFirst(ID);
        if (id != null) exchange.getResponseHeaders().set(ID, id);
        exchange.getResponseHeaders().set("Content-Type", "application/json");
        exchange.sendResponseHeaders(200, answer.length);
        exchange.getResponseBody().write(answer);
        exchange.close();
    }

    private static void serveBySocket(SSLContext context) throws IOException {
        SSLServerSocket server = (SSLServerSocket)
                context.getServerSocketFactory().createServerSocket(0, 50, InetAddress.getLoopbackAddress());
        System.out.println(server.getLocalPort());
        while (true) {
            Socket socket = server.accept();
            new Thread(() -> answer(socket)).start();
        }
    }

    private static void answer(Socket socket) {
        try (socket) {
            InputStream in = socket.getInputStream();
            OutputStream out = socket.getOutputStream();
            for (String first = line(in); first != null; first = line(in)) {
                int length = 0;
                String id = "";
                for (String field = line(in); !field.isEmpty(); field = line(in)) {
                    String[] parts = field.split(": *", 2);
                    if (parts[0].equalsIgnoreCase("Content-Length")) length = Integer.parseInt(parts[1]);
                    if (parts[0].equalsIgnoreCase(ID)) id = parts[1];
                }
                byte[] body = answer(first.split(" ")[1], in.readNBytes(length));
                String head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
                out.write((head + body.length + "\r\n" + ID + ": " + id + "\r\n\r\n").getBytes());
                out.write(body);
            }
        } catch (IOException error) {
            // the client has closed
        }
    }

    /** A line, byte by byte; null at the end. */
    private static String line(InputStream in) throws IOException {
        StringBuilder text = new StringBuilder();
        for (int one; (one = in.read()) != '\n'; ) {
            if (one < 0) return null;
            if (one != '\r') text.append((char) one);
        }
        return text.toString();
    }

    /** Makes a call and returns its status. */
    interface Caller {
        int call(String method, String target, String id, byte[] body) throws Exception;
    }

    private static void call(SSLContext context, String how, String port) throws Exception {
        HttpClient client = HttpClient.newBuilder()
                .sslContext(context)
                .version(how.equals("h2") ? HttpClient.Version.HTTP_2 : HttpClient.Version.HTTP_1_1)
                .build();
        makeEach((method, target, id, body) -> {
            URI uri = URI.create("https://127.0.0.1:" + port + target);
            return switch (how) {
                case "url" -> byConnection(context, uri, method, id, body);
                case "bare" -> byBareSocket(context, uri, method, id, body);
                default -> byClient(client, uri, method, id, body);
            };
        });
    }

    /** Makes the calls of standard input by eight threads. */
    static void makeEach(Caller caller) throws IOException {
        ExecutorService workers = Executors.newFixedThreadPool(8);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null; ) {
            String[] parts = line.split(" ", -1);
            workers.execute(() -> {
                try {
                    byte[] body = Base64.getDecoder().decode(parts[3]);
                    System.out.println(parts[2] + " " + caller.call(parts[0], parts[1], parts[2], body));
                } catch (Exception error) {
                    System.out.println(parts[2] + " " + error);
                }
            });
        }
        workers.shutdown();
    }

    private static int byClient(HttpClient client, URI uri, String method, String id, byte[] body) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(uri)
                .method(method, HttpRequest.BodyPublishers.ofByteArray(body))
                .header("Content-Type", "application/json")
                .header(ID, id)
                .build();
        return client.send(request, HttpResponse.BodyHandlers.ofByteArray()).statusCode();
    }

    private static int byConnection(SSLContext context, URI uri, String method, String id, byte[] body)
            throws IOException {
        HttpsURLConnection connection = (HttpsURLConnection) uri.toURL().openConnection();
        connection.setSSLSocketFactory(context.getSocketFactory());
        connection.setRequestMethod(method);
        connection.setRequestProperty("Content-Type", "application/json");
        connection.setRequestProperty(ID, id);
        if (body.length > 0) {
            connection.setDoOutput(true);
            connection.getOutputStream().write(body);
        }
        int status = ((HttpURLConnection) connection).getResponseCode();
        connection.getInputStream().readAllBytes();
        return status;
    }

    /** The first write makes the handshake. */
    private static int byBareSocket(SSLContext context, URI uri, String method, String id, byte[] body)
            throws IOException {
        try (Socket socket = context.getSocketFactory().createSocket(uri.getHost(), uri.getPort())) {
            String head = method + " " + uri.getPath() + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" + ID + ": " + id
                    + "\r\nContent-Type: application/json\r\nContent-Length: " + body.length + "\r\n\r\n";
            socket.getOutputStream().write(head.getBytes());
            socket.getOutputStream().write(body);
            InputStream in = socket.getInputStream();
            int status = Integer.parseInt(line(in).split(" ")[1]);
            in.readNBytes(length(in));
            return status;
        }
    }

    /** Of the body that follows the fields; none of them is kept. */
    private static int length(InputStream in) throws IOException {
        int length = 0;
        for (String field = line(in); !field.isEmpty(); field = line(in)) {
            String[] parts = field.split(": *", 2);
            if (parts[0].equalsIgnoreCase("Content-Length")) length = Integer.parseInt(parts[1]);
        }
        return length;
    }
}
