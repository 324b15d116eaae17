import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.security.KeyStore;
import javax.net.ssl.KeyManagerFactory;
import org.apache.catalina.Context;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;
import org.apache.tomcat.util.net.SSLHostConfig;
import org.apache.tomcat.util.net.SSLHostConfigCertificate;

/** The servers "netty" and "tomcat", on the JDK's TLS: each prints its port and echoes. */
public final class Frameworks {
    private static final String ID = "X-Spectap-Test";
    private static final String PASSWORD = "changeit";

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("netty")) netty(arguments[1]);
        else tomcat(arguments[1]);
    }

    private static byte[] answer(String target, byte[] body) {
        String[] parts = target.split("/");
        if (parts[1].equals("bytes"))
            return ("[\"" + "a long answer ".repeat(Integer.parseInt(parts[2]) / 14) + "\"]").getBytes();
        return body.length > 0 ? body : ("{\"target\":\"" + target + "\"}").getBytes();
    }

    private static void netty(String file) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream in = new FileInputStream(file)) {
            store.load(in, PASSWORD.toCharArray());
        }
        KeyManagerFactory keys = KeyManagerFactory.getInstance("SunX509");
        keys.init(store, PASSWORD.toCharArray());
        SslContext tls = SslContextBuilder.forServer(keys).sslProvider(SslProvider.JDK).build();
        ServerBootstrap server = new ServerBootstrap()
                .group(new NioEventLoopGroup(2))
                .channel(NioServerSocketChannel.class)
                .childHandler(new ChannelInitializer<SocketChannel>() {
                    @Override
                    protected void initChannel(SocketChannel channel) {
                        channel.pipeline().addLast(tls.newHandler(channel.alloc()), new HttpServerCodec());
                        channel.pipeline().addLast(new HttpObjectAggregator(1 << 20), new Echo());
                    }
                });
        InetSocketAddress bound =
                (InetSocketAddress) server.bind("127.0.0.1", 0).sync().channel().localAddress();
        System.out.println(bound.getPort());
    }

    private static final class Echo extends SimpleChannelInboundHandler<FullHttpRequest> {
        @Override
        protected void channelRead0(ChannelHandlerContext context, FullHttpRequest request) {
            byte[] body = new byte[request.content().readableBytes()];
            request.content().readBytes(body);
            byte[] answer = answer(request.uri(), body);
            FullHttpResponse response = new DefaultFullHttpResponse(
                    HttpVersion.HTTP_1_1, HttpResponseStatus.OK, Unpooled.wrappedBuffer(answer));
            response.headers().set("Content-Type", "application/json").setInt("Content-Length", answer.length);
            response.headers().set(ID, request.headers().get(ID, ""));
            context.writeAndFlush(response);
        }
    }

    private static void tomcat(String file) throws Exception {
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(Files.createTempDirectory("tomcat").toString());
        Connector connector = new Connector("org.apache.coyote.http11.Http11NioProtocol");
        connector.setPort(0);
        connector.setScheme("https");
        connector.setSecure(true);
        connector.setProperty("SSLEnabled", "true");
        connector.setProperty("address", "127.0.0.1");
        SSLHostConfig host = new SSLHostConfig();
        SSLHostConfigCertificate pair =
                new SSLHostConfigCertificate(host, SSLHostConfigCertificate.Type.UNDEFINED);
        pair.setCertificateKeystoreFile(file);
        pair.setCertificateKeystorePassword(PASSWORD);
        pair.setCertificateKeystoreType("PKCS12");
        host.addCertificate(pair);
        connector.addSslHostConfig(host);
        tomcat.setConnector(connector);
        Context context = tomcat.addContext("", null);
        Tomcat.addServlet(context, "echo", new EchoServlet());
        context.addServletMappingDecoded("/", "echo");
        tomcat.start();
        System.out.println(connector.getLocalPort());
    }

    private static final class EchoServlet extends HttpServlet {
        private static final long serialVersionUID = 1;

        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
            byte[] answer = answer(request.getRequestURI(), request.getInputStream().readAllBytes());
            String id = request.getHeader(ID);
            if (id != null) response.setHeader(ID, id);
            response.setContentType("application/json");
            response.setContentLength(answer.length);
            response.getOutputStream().write(answer);
        }
    }
}
