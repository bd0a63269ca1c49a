/// Where a certificate and its key are.
package struct CredentialFiles: Sendable, Hashable {
  /// PEM, for everyone to read.
  package var certificate: String
  /// PEM, for its owner only.
  package var privateKey: String

  package init(certificate: String, privateKey: String) {
    self.certificate = certificate
    self.privateKey = privateKey
  }

  /// `{name}.pem` and `{name}.key`.
  package init(directory: String, name: String) {
    self.init(certificate: "\(directory)/\(name).pem", privateKey: "\(directory)/\(name).key")
  }
}

/// A certificate and its private key.
package struct Credential: Sendable {
  package let certificatePEM: String
  package let privateKeyPEM: String

  /// Writes both files, each atomically. Should the second fail, key and certificate don't fit, which
  /// whoever reads them notices.
  /// - Throws: `PKIError`; with the code `exists` when a file is there and `replacing` is false.
  package func save(_ files: CredentialFiles, replacing: Bool = false) throws {
    if !replacing {
      for path in [files.certificate, files.privateKey] where PEMFile.exists(path) {
        throw PKIError(.exists, "\(path) is there already")
      }
    }
    try PEMFile.write(privateKeyPEM, to: files.privateKey, mode: 0o600, replacing: replacing)
    try PEMFile.write(certificatePEM, to: files.certificate, mode: 0o644, replacing: replacing)
  }
}
