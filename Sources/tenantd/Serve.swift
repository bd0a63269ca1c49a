import ArgumentParser
import FoundationEssentials
import Glibc
import TenancyRPC

struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Serves the tenancy API until SIGTERM or SIGINT.",
    discussion: """
      With --config, listens and keeps its data as the file says. With --dev, makes what is missing
      (data directory, development CA, certificates) and prints how to call it: for development only.
      """)

  @Option(help: "Configuration file (JSON5).")
  var config: String?

  @Flag(help: "Development mode.")
  var dev = false

  @Option(help: "Development mode: where everything is kept. (default: .build-dev)")
  var directory: String?

  @Option(
    parsing: .unconditional,  // So that a negative one is told to be wrong, not missing.
    help: "Development mode: TCP port on 127.0.0.1; 0 lets the system choose. (default: 7443)")
  var port: Int?

  @Flag(
    help: "Serves a store that was restored from a backup, without what was acknowledged later.")
  var acceptRestored = false

  func validate() throws {
    guard (config == nil) == dev else {
      throw ValidationError("give either --config FILE or --dev")
    }
    for (option, isGiven) in [("--directory", directory != nil), ("--port", port != nil)]
    where isGiven && !dev {
      throw ValidationError("\(option) is for --dev: with --config the file says it")
    }
    guard (0...65_535).contains(port ?? 0) else { throw ValidationError("--port: 0 to 65535") }
  }

  func run() async throws {
    Descriptors.raiseLimit()
    let sockets = try InheritedSocket.take()
    if let config {
      let configuration = try Self.read(config)
      if acceptRestored, !configuration.store.isEmbedded {
        throw ValidationError("--accept-restored is for the embedded store")
      }
      let daemon = try Daemon(
        configuration, file: config, acceptsRestored: acceptRestored, sockets: sockets,
        recorded: Recording.begin(configuration.http))
      try await daemon.run { _ in }
    } else {
      let development = try Development(directory: directory ?? ".build-dev", port: port ?? 7443)
      let daemon = try Daemon(
        development.configuration, acceptsRestored: acceptRestored, sockets: sockets,
        recorded: Recording.begin(development.configuration.http))
      try await daemon.run { addresses in
        print(development.guide(addresses))
        fflush(nil)  // Whoever waits for the guide may read it from a file.
      }
    }
  }

  static func read(_ file: String) throws -> Configuration {
    guard let data = FileManager.default.contents(atPath: file) else {
      let cause =
        unsafe access(file, R_OK) == 0 ? "it is no file" : String(cString: strerror(errno))
      throw ValidationError("cannot read \(file): \(cause)")
    }
    do {
      try OwnFiles.checkTrusted(file)
      return try Configuration(json5: data, file: file)
    } catch let error as ConfigurationError {
      throw ValidationError(error.description)
    }
  }
}
