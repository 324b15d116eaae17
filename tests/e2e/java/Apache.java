import javax.net.ssl.SSLContext;
import org.apache.hc.client5.http.classic.methods.HttpUriRequestBase;
import org.apache.hc.client5.http.impl.io.PoolingHttpClientConnectionManagerBuilder;
import org.apache.hc.client5.http.ssl.ClientTlsStrategyBuilder;
import org.apache.http.client.methods.RequestBuilder;
import org.apache.http.conn.ssl.NoopHostnameVerifier;

/** Apache's HttpClient, "apache4" and "apache5", makes the calls of standard input to the port of its third argument. */
public final class Apache {
    public static void main(String[] arguments) throws Exception {
        SSLContext tls = Calls.context(arguments[1]);
        String server = "https://127.0.0.1:" + arguments[2];
        Calls.makeEach(arguments[0].equals("apache4") ? byOlder(tls, server) : byNewer(tls, server));
    }

    private static Calls.Caller byOlder(SSLContext tls, String server) {
        org.apache.http.client.HttpClient client = org.apache.http.impl.client.HttpClients.custom()
                .setSSLContext(tls)
                .setSSLHostnameVerifier(NoopHostnameVerifier.INSTANCE)
                .build();
        return (method, target, id, body) -> client.execute(
                RequestBuilder.create(method)
                        .setUri(server + target)
                        .setHeader("Content-Type", "application/json")
                        .setHeader(Calls.ID, id)
                        .setEntity(new org.apache.http.entity.ByteArrayEntity(body))
                        .build(),
                response -> {
                    org.apache.http.util.EntityUtils.consume(response.getEntity());
                    return response.getStatusLine().getStatusCode();
                });
    }

    private static Calls.Caller byNewer(SSLContext tls, String server) {
        org.apache.hc.client5.http.classic.HttpClient client =
                org.apache.hc.client5.http.impl.classic.HttpClients.custom()
                        .setConnectionManager(PoolingHttpClientConnectionManagerBuilder.create()
                                .setTlsSocketStrategy(ClientTlsStrategyBuilder.create()
                                        .setSslContext(tls)
                                        .setHostnameVerifier(NoopHostnameVerifier.INSTANCE)
                                        .buildClassic())
                                .build())
                        .build();
        return (method, target, id, body) -> {
            HttpUriRequestBase request = new HttpUriRequestBase(method, java.net.URI.create(server + target));
            request.setHeader(Calls.ID, id);
            request.setEntity(new org.apache.hc.core5.http.io.entity.ByteArrayEntity(
                    body, org.apache.hc.core5.http.ContentType.APPLICATION_JSON));
            return client.execute(request, response -> {
                org.apache.hc.core5.http.io.entity.EntityUtils.consume(response.getEntity());
                return response.getCode();
            });
        };
    }
}
