import java.io.FileInputStream;
import java.security.KeyStore;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import org.opensearch.common.settings.Settings;
import org.opensearch.http.HttpServerTransport;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.Plugin;
import org.opensearch.plugins.SecureHttpTransportSettingsProvider;
import org.opensearch.plugins.SecureSettingsFactory;
import org.opensearch.plugins.SecureTransportSettingsProvider;
import org.opensearch.plugins.TransportExceptionHandler;
import org.opensearch.transport.Netty4Plugin;

/**
 * One OpenSearch node with its HTTP over TLS. Arguments: port, folder, a PKCS #12 file with the password "test", and settings
 * as name=value.
 */
public final class Server {
  private static SSLContext context;

  public static final class Tls extends Plugin implements SecureSettingsFactory, SecureHttpTransportSettingsProvider {
    @Override
    public Optional<SecureSettingsFactory> getSecureSettingFactory(Settings settings) {
      return Optional.of(this);
    }

    @Override
    public Optional<SecureTransportSettingsProvider> getSecureTransportSettingsProvider(Settings settings) {
      return Optional.empty();
    }

    @Override
    public Optional<SecureHttpTransportSettingsProvider> getSecureHttpTransportSettingsProvider(Settings settings) {
      return Optional.of(this);
    }

    @Override
    public Optional<TransportExceptionHandler> buildHttpServerExceptionHandler(Settings settings, HttpServerTransport transport) {
      return Optional.empty();
    }

    @Override
    public Optional<SSLEngine> buildSecureHttpServerEngine(Settings settings, HttpServerTransport transport) {
      SSLEngine engine = context.createSSLEngine();
      engine.setUseClientMode(false);
      return Optional.of(engine);
    }
  }

  private static final class Embedded extends Node {
    Embedded(Settings settings) {
      super(InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "test"),
          List.of(Netty4Plugin.class, Tls.class), false);
    }
  }

  public static void main(String[] args) throws Exception {
    char[] password = "test".toCharArray();
    KeyStore keys = KeyStore.getInstance("PKCS12");
    try (FileInputStream in = new FileInputStream(args[2])) {
      keys.load(in, password);
    }
    KeyManagerFactory managers = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    managers.init(keys, password);
    context = SSLContext.getInstance("TLS");
    context.init(managers.getKeyManagers(), null, null);
    Settings.Builder settings = Settings.builder()
        .put("path.home", args[1]).put("cluster.name", "test").put("discovery.type", "single-node")
        .put("http.type", "netty4-secure").put("http.host", "127.0.0.1").put("http.port", args[0])
        .put("transport.type", "netty4").put("transport.host", "127.0.0.1").put("transport.port", "0");
    for (int i = 3; i < args.length; i++) {
      String[] pair = args[i].split("=", 2);
      settings.put(pair[0], pair[1]);
    }
    Node node = new Embedded(settings.build()).start();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      try {
        node.close();
      } catch (Exception failure) {
        failure.printStackTrace();
      }
    }));
    Thread.currentThread().join();
  }
}
