import io.netty.bootstrap.Bootstrap;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.epoll.EpollEventLoopGroup;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.http.DefaultFullHttpRequest;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.FullHttpMessage;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpClientCodec;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http2.DefaultHttp2Connection;
import io.netty.handler.codec.http2.HttpConversionUtil;
import io.netty.handler.codec.http2.HttpToHttp2ConnectionHandlerBuilder;
import io.netty.handler.codec.http2.InboundHttp2ToHttpAdapterBuilder;
import io.netty.handler.ssl.ApplicationProtocolConfig;
import io.netty.handler.ssl.ApplicationProtocolNames;
import io.netty.handler.ssl.ApplicationProtocolNegotiationHandler;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import java.net.InetSocketAddress;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Supplier;

/**
 * Netty as a server, which prints its port and echoes, or as a client: "netty" on the JDK's TLS, "netty-native" on
 * BoringSSL, "netty-native-epoll" without the JDK's sockets. With a port as a third argument it makes the calls of
 * standard input.
 */
public final class Netty {
    private static final int LARGEST = 1 << 20; // bytes of a message

    private final boolean epoll;
    private final SslProvider provider;
    private final String store;

    private Netty(String how, String store) {
        this.epoll = how.endsWith("-epoll");
        this.provider = how.equals("netty") ? SslProvider.JDK : SslProvider.OPENSSL;
        this.store = store;
    }

    public static void main(String[] arguments) throws Exception {
        Netty netty = new Netty(arguments[0], arguments[1]);
        if (arguments.length == 2) netty.serve();
        else netty.call(Integer.parseInt(arguments[2]));
    }

    private EventLoopGroup threads(int count) {
        return epoll ? new EpollEventLoopGroup(count) : new NioEventLoopGroup(count);
    }

    private void serve() throws Exception {
        ApplicationProtocolConfig protocols = new ApplicationProtocolConfig(
                ApplicationProtocolConfig.Protocol.ALPN,
                ApplicationProtocolConfig.SelectorFailureBehavior.NO_ADVERTISE,
                ApplicationProtocolConfig.SelectedListenerFailureBehavior.ACCEPT,
                ApplicationProtocolNames.HTTP_2,
                ApplicationProtocolNames.HTTP_1_1);
        SslContext tls = SslContextBuilder.forServer(Calls.keys(store))
                .sslProvider(provider)
                .applicationProtocolConfig(protocols)
                .build();
        ServerBootstrap server = new ServerBootstrap()
                .group(threads(2))
                .channel(epoll ? EpollServerSocketChannel.class : NioServerSocketChannel.class)
                .childHandler(above(tls, () -> new ChannelHandler[] {new Negotiated()}));
        InetSocketAddress bound =
                (InetSocketAddress) server.bind("127.0.0.1", 0).sync().channel().localAddress();
        System.out.println(bound.getPort());
    }

    /** Above TLS come these handlers. */
    private static ChannelInitializer<SocketChannel> above(SslContext tls, Supplier<ChannelHandler[]> handlers) {
        return new ChannelInitializer<>() {
            @Override
            protected void initChannel(SocketChannel channel) {
                channel.pipeline().addLast(tls.newHandler(channel.alloc())).addLast(handlers.get());
            }
        };
    }

    private static final class Negotiated extends ApplicationProtocolNegotiationHandler {
        Negotiated() {
            super(ApplicationProtocolNames.HTTP_1_1);
        }

        @Override
        protected void configurePipeline(ChannelHandlerContext context, String protocol) {
            ChannelPipeline pipeline = context.pipeline();
            if (protocol.equals(ApplicationProtocolNames.HTTP_2)) {
                DefaultHttp2Connection connection = new DefaultHttp2Connection(true);
                pipeline.addLast(new HttpToHttp2ConnectionHandlerBuilder()
                        .connection(connection)
                        .frameListener(new InboundHttp2ToHttpAdapterBuilder(connection)
                                .maxContentLength(LARGEST)
                                .build())
                        .build());
            } else {
                pipeline.addLast(new HttpServerCodec(), new HttpObjectAggregator(LARGEST));
            }
            pipeline.addLast(new Echo());
        }
    }

    private static final class Echo extends SimpleChannelInboundHandler<FullHttpRequest> {
        @Override
        protected void channelRead0(ChannelHandlerContext context, FullHttpRequest request) {
            byte[] body = new byte[request.content().readableBytes()];
            request.content().readBytes(body);
            byte[] answer = Calls.answer(request.uri(), body);
            FullHttpResponse response = new DefaultFullHttpResponse(
                    HttpVersion.HTTP_1_1, HttpResponseStatus.OK, Unpooled.wrappedBuffer(answer));
            describe(response, request.headers().get(Calls.ID, ""));
            String stream = HttpConversionUtil.ExtensionHeaderNames.STREAM_ID.text().toString();
            if (request.headers().contains(stream)) response.headers().set(stream, request.headers().get(stream));
            context.writeAndFlush(response);
        }
    }

    private static void describe(FullHttpMessage message, String id) {
        message.headers().set("Content-Type", "application/json").set(Calls.ID, id);
        message.headers().setInt("Content-Length", message.content().readableBytes());
    }

    /** A connection for each thread, over which it makes one call after the other. */
    private void call(int port) throws Exception {
        SslContext tls = SslContextBuilder.forClient()
                .trustManager(Calls.trusted(store))
                .sslProvider(provider)
                .endpointIdentificationAlgorithm(null)
                .build();
        EventLoopGroup threads = threads(2);
        ThreadLocal<Connection> connections = ThreadLocal.withInitial(() -> new Connection(threads, tls, port));
        Calls.makeEach((method, target, id, body) -> connections.get().call(method, target, id, body));
    }

    private final class Connection {
        private final BlockingQueue<Integer> statuses = new LinkedBlockingQueue<>();
        private final Channel channel;

        Connection(EventLoopGroup threads, SslContext tls, int port) {
            Bootstrap client = new Bootstrap()
                    .group(threads)
                    .channel(epoll ? EpollSocketChannel.class : NioSocketChannel.class)
                    .handler(above(tls, () -> new ChannelHandler[] {
                        new HttpClientCodec(), new HttpObjectAggregator(LARGEST), new Statuses(statuses)
                    }));
            channel = client.connect("127.0.0.1", port).syncUninterruptibly().channel();
        }

        int call(String method, String target, String id, byte[] body) throws InterruptedException {
            DefaultFullHttpRequest request = new DefaultFullHttpRequest(
                    HttpVersion.HTTP_1_1, HttpMethod.valueOf(method), target, Unpooled.wrappedBuffer(body));
            describe(request, id);
            request.headers().set("Host", "127.0.0.1");
            channel.writeAndFlush(request);
            return statuses.take();
        }
    }

    private static final class Statuses extends SimpleChannelInboundHandler<FullHttpResponse> {
        private final BlockingQueue<Integer> statuses;

        Statuses(BlockingQueue<Integer> statuses) {
            this.statuses = statuses;
        }

        @Override
        protected void channelRead0(ChannelHandlerContext context, FullHttpResponse response) {
            statuses.add(response.status().code());
        }
    }
}
