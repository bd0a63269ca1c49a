import ArgumentParser
import Foundation
import TenancyCrypto

struct RevocationListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "crl", abstract: "Makes the CA's CRL, or the next one, and revokes certificates.",
    discussion: """
      It is ca.crl, beside the CA. What the one before revokes stays revoked. Make the next one in time: \
      servers that are configured with one that has ended take no certificate of the CA.
      """)

  @Option(help: "Where the files are.") var directory = "./pki"
  @Option(help: "The SPIFFE trust domain, if the CA's certificate does not name it.")
  var trustDomain: String?
  @Option(
    help: ArgumentHelp(
      "PEM: a certificate that is revoked from now on. May be repeated.", valueName: "file"),
    completion: .file())
  var revoke: [String] = []
  @Option(help: "Until when there is to be another, 1 to 366.")
  var days = CertificateAuthority.defaultListDays

  func validate() throws {
    guard CertificateAuthority.listDays.contains(days) else {
      throw ValidationError("--days: 1 to \(CertificateAuthority.listDays.upperBound)")
    }
  }

  func run() throws {
    let authority = try CertificateAuthority.load(
      CredentialFiles(directory: directory, name: DirectoryOptions.authorityName),
      trustDomain: trustDomain)
    let path = "\(directory)/\(DirectoryOptions.authorityName).crl"
    let made = try authority.renewRevocations(at: path, revoking: revoke, days: days)
    let next = Date(timeIntervalSince1970: TimeInterval(made.nextUpdate))
      .formatted(.iso8601)
    print("wrote \(path): \(made.count) revoked, the next one by \(next)")
  }
}
