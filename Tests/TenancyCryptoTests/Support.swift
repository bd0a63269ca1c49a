import Foundation
import TenancyTestSupport
import Testing

@testable import TenancyCrypto

extension TemporaryDirectory {
  func files(_ name: String) -> CredentialFiles { CredentialFiles(directory: path, name: name) }

  func content(_ file: String) throws -> String {
    try String(contentsOfFile: file, encoding: .utf8)
  }

  func mode(_ file: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: file)
    return try #require(attributes[.posixPermissions] as? Int)
  }
}

/// Runs the `openssl` command: what it thinks of our certificates is independent of our code.
enum OpenSSL {
  struct Outcome {
    let status: Int32
    let output: String
  }

  static func run(_ arguments: String...) throws -> Outcome { try run(arguments: arguments) }

  static func run(arguments: [String]) throws -> Outcome {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["openssl"] + arguments
    process.standardOutput = pipe
    process.standardError = pipe
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return Outcome(
      status: process.terminationStatus, output: String(decoding: data, as: UTF8.self))
  }

  /// Whether the chain is good for `sslclient` or `sslserver`.
  static func verifies(
    _ leaf: CredentialFiles, by authority: CredentialFiles, purpose: String
  ) throws -> Bool {
    try run(
      "verify", "-x509_strict", "-CAfile", authority.certificate, "-purpose", purpose,
      leaf.certificate
    ).status == 0
  }

  static func extensions(_ files: CredentialFiles) throws -> String {
    try run(
      "x509", "-in", files.certificate, "-noout", "-ext",
      "subjectAltName,extendedKeyUsage,basicConstraints,keyUsage,subjectKeyIdentifier,"
        + "authorityKeyIdentifier"
    ).output
  }
}
