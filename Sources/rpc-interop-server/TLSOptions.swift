import ArgumentParser
import RPC

struct TLSOptions: ParsableArguments {
  enum ClientAuthentication: String, ExpressibleByArgument, CaseIterable {
    case none, optional, required
  }

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Take TLS, and nothing else, on TCP: PEM files of the certificate, its key and the clients' CA.",
      valueName: "certificate> <key> <ca"))
  var tls: [String] = []

  @Option(help: "Whether clients must have a certificate.")
  var clientAuth = ClientAuthentication.required

  @Option(help: "PEM file with certificates that are revoked.")
  var crl: String?

  func validate() throws {
    guard tls.isEmpty || tls.count == 3 else {
      throw ValidationError("--tls: the certificate's file, the key's and the CA's")
    }
    guard !tls.isEmpty || crl == nil else { throw ValidationError("--crl needs --tls") }
  }

  /// nil without TLS.
  /// - Throws: `TLSError` when a file can't be used.
  func context() throws -> TLSContext? {
    guard tls.count == 3 else { return nil }
    guard clientAuth == .required, crl == nil else {
      throw ValidationError("not supported yet")
    }
    return try TLSContext(
      .server,
      TLSContext.Files(certificateChain: tls[0], privateKey: tls[1], peerAuthorities: tls[2]))
  }
}
