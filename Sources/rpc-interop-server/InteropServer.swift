import ArgumentParser
import Glibc
import Logging
import TenancyRPCInterop
import TenancyRPCServices
import TenancyRPC

/// The conformance server: the runtime, and the services that public test suites call.
@main
struct InteropServer: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rpc-interop-server",
    abstract: "Serves grpc.testing.TestService and ttrpc.integration.streaming.Streaming.",
    discussion: """
      For the interoperability and attack suites of others: it serves whoever connects. Prints \
      "listening on ADDRESS" for each listener. SIGTERM and SIGINT end it; SIGHUP makes it read the files \
      of TLS again.
      """)

  @Option(help: ArgumentHelp("unix:PATH or tcp:HOST:PORT; may be repeated.", valueName: "address"))
  var listen: [ListenArgument]

  @OptionGroup var tlsOptions: TLSOptions

  @Option(help: "Threads that serve connections; 0: one for each core.")
  var eventLoops = 0

  @Option(help: "How long calls in flight may take when the server ends.")
  var drain = DurationArgument(.seconds(5))

  @Flag(help: "Log why connections and calls are refused.")
  var verbose = false

  @OptionGroup(title: "Limits") var limitOptions: LimitOptions

  func validate() throws {
    guard !listen.isEmpty else { throw ValidationError("--listen is needed") }
    guard (0...256).contains(eventLoops) else { throw ValidationError("--event-loops: 0 to 256") }
  }

  func run() async throws {
    signal(SIGPIPE, SIG_IGN)
    Descriptors.raiseLimit()
    let stops = Signals.arrivals([SIGTERM, SIGINT])
    let hangups = Signals.arrivals([SIGHUP])
    let tls = try tlsOptions.context()
    var configuration = Server.Configuration(
      listeners: listen.map { $0.address(isSecure: tls != nil) }, tls: tls)
    configuration.limits = try limitOptions.limits()
    configuration.eventLoops = eventLoops
    let health = HealthStatus(serving: InteropServices.names)
    let server = try await Server(
      configuration, methods: InteropServices.methods(health: health),
      delegate: InteropDelegate(logger: logger))
    for address in try await server.start() { print("listening on \(Self.text(address))") }
    fflush(nil)  // Whoever waits for the addresses may read them from a pipe.

    let reloading = Task { await reload(tls, on: hangups) }
    for await _ in stops { break }
    reloading.cancel()
    health.shutDown()
    await server.stop(within: drain.duration)
  }

  private var logger: Logger {
    var logger = Logger(label: "rpc-interop-server") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = verbose ? .info : .notice
    return logger
  }

  /// Reads the files of TLS again when they change, and on SIGHUP, until cancelled.
  private func reload(_ tls: TLSContext?, on hangups: AsyncStream<Void>) async {
    guard let tls else { return }
    let report: @Sendable (TLSError?) -> Void = { [logger] error in
      logger.notice("TLS files read again", metadata: ["error": "\(error?.description ?? "none")"])
    }
    await withTaskGroup { group in
      let interval = tlsOptions.reloadInterval.duration
      group.addTask { await tls.watch(every: interval, report: report) }
      for await _ in hangups {
        do throws(TLSError) {
          try tls.reload()
          report(nil)
        } catch {
          report(error)
        }
      }
    }
  }

  /// As `--listen` takes it.
  private static func text(_ address: ListenAddress) -> String {
    switch address {
    case .unix: address.description
    case .tcp: "tcp:\(address)"
    }
  }
}
