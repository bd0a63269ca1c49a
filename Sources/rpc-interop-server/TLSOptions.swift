public import ArgumentParser
public import TenancyRPC

struct TLSOptions: ParsableArguments {
  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Take TLS, and nothing else, on TCP: PEM files of the certificate, its key and the clients' CA.",
      valueName: "certificate> <key> <ca"))
  var tls: [String] = []

  @Option(help: "Whether clients are asked for a certificate, and must have one.")
  var clientAuth = TLSContext.ClientAuthentication.optional

  @Option(
    help: ArgumentHelp(
      "PEM file with a CRL of the CA; may be repeated. With any, each CA of a chain needs a current one.",
      valueName: "file"))
  var crl: [String] = []

  @Option(help: "Between looks whether the files have changed, and are to be read again.")
  var reloadInterval = DurationArgument(.seconds(1))

  @OptionGroup(title: "Limits of TLS") var limitOptions: TLSLimitOptions

  func validate() throws {
    guard tls.isEmpty || tls.count == 3 else {
      throw ValidationError("--tls: the certificate's file, the key's and the CA's")
    }
    guard !tls.isEmpty || crl.isEmpty else { throw ValidationError("--crl needs --tls") }
  }

  /// nil without TLS.
  /// - Throws: `TLSError` when a file can't be used.
  func context() throws -> TLSContext? {
    guard tls.count == 3 else { return nil }
    var configuration = TLSContext.Configuration(
      certificateChain: tls[0], privateKey: tls[1],
      trust: .authorities(tls[2], revocations: crl))
    configuration.clientAuthentication = clientAuth
    configuration.limits = limitOptions.limits
    return try TLSContext(.server, configuration)
  }
}

extension TLSContext.ClientAuthentication: ExpressibleByArgument {}
