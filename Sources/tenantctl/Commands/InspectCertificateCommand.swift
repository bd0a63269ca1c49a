import ArgumentParser
import Foundation
import Tenancy
import TenancyCrypto
import TenancyWire

struct InspectCertificateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Shows whom certificates are for, and by whom; and what CRLs revoke.",
    discussion: """
      Nothing is verified, unless --ca says who is trusted: then the first certificate, with those behind \
      it, is judged as servers judge a client's, and the exit code is 3 if they refuse it. Which tenants and \
      platform roles a trust domain may name is the server's to know.
      """)

  @Argument(help: "PEM: certificates and CRLs; - is stdin.", completion: .file()) var file: String
  @Option(
    help: ArgumentHelp("PEM: the CAs that are trusted.", valueName: "file"), completion: .file())
  var ca: String?
  @Option(
    help: ArgumentHelp("PEM, with --ca: CRLs. May be repeated.", valueName: "file"),
    completion: .file())
  var crl: [String] = []
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard ca != nil || crl.isEmpty else { throw ValidationError("--crl is for --ca.") }
  }

  func run() throws {
    let pem = try InputFile.text(file)
    let found = try CertificateReports.read(pem)
    var verdict: CertificateInspection.Verdict?
    if let ca {
      let refusal = try CertificateReports.refusal(
        ofChain: pem, authorities: ca, revocations: crl)
      verdict = CertificateInspection.Verdict(
        refusal: refusal ?? found.certificates.first.flatMap(CertificateInspection.refusal))
    }
    output.show(
      CertificateInspection(
        certificates: found.certificates, revocations: found.revocations, verdict: verdict))
    if let verdict, verdict.refusal != nil { throw ExitCode(Failure.answerIsNo) }
  }
}

/// What a file holds, and whether its first certificate is accepted.
struct CertificateInspection: Presentable {
  struct Verdict {
    let refusal: String?
  }

  let certificates: [CertificateReport]
  let revocations: [RevocationReport]
  let verdict: Verdict?

  /// Why a certificate whose chain is verified is nobody's.
  static func refusal(_ certificate: CertificateReport) -> String? {
    guard let id = certificate.spiffeID else { return "it has no SPIFFE ID" }
    return holder(of: id) == nil
      ? "the SPIFFE ID names neither a tenant nor a platform role" : nil
  }

  /// As servers read it.
  private static func holder(of id: SPIFFEID) -> (kind: String, name: String)? {
    switch (id.path.first, id.path.dropFirst().first) {
    case ("tenant", let name?):
      TenantID(parsing: name) != nil || Slug(parsing: name) != nil ? ("tenant", name) : nil
    case ("platform", let role?) where id.path.count <= 3: ("platform role", role)
    default: nil
    }
  }

  func lines() -> [String] {
    var lines: [String] = []
    for certificate in certificates {
      var fields = Fields()
      fields.add("Certificate", certificate.isAuthority ? "of a CA" : "of a peer")
      fields.add("SPIFFE ID", certificate.spiffeID?.description ?? "")
      let holder = certificate.spiffeID.flatMap(Self.holder)
      fields.add("Is", holder.map { "the \($0.kind) \($0.name)" } ?? "")
      if certificate.spiffeID == nil {
        fields.add("URI names", each: certificate.uriNames ?? ["unreadable"])
      }
      fields.add("Subject", certificate.subject)
      fields.add("Issuer", certificate.isSelfIssued ? "itself" : certificate.issuer)
      fields.add("Begins", Self.time(certificate.notBefore))
      fields.add("Ends", Self.time(certificate.notAfter) + Self.life(certificate))
      fields.add("Key", certificate.key)
      fields.add("Serial number", certificate.serialNumber)
      fields.add("SHA-256", certificate.fingerprint)
      lines += (lines.isEmpty ? [] : [""]) + fields.lines()
    }
    for list in revocations {
      var fields = Fields()
      fields.add("CRL of", list.issuer)
      fields.add("Revoked", "\(list.count)")
      fields.add("From", list.thisUpdate.map(Self.time) ?? "")
      fields.add("Next", list.nextUpdate.map(Self.time) ?? "never: nobody accepts it")
      lines += (lines.isEmpty ? [] : [""]) + fields.lines()
    }
    if let verdict {
      let said = verdict.refusal.map { "refused: \($0)" } ?? "accepted"
      lines += ["", Printable.text(said)]
    }
    return lines
  }

  func json() -> JSONValue {
    var members: [String: JSONValue] = [
      "certificates": .array(certificates.map(Self.json)),
      "crls": .array(
        revocations.map { list in
          var members: [String: JSONValue] = [
            "issuer": .string(list.issuer), "revoked": .number(Double(list.count)),
          ]
          if let time = list.thisUpdate { members["thisUpdate"] = .string(Self.time(time)) }
          if let time = list.nextUpdate { members["nextUpdate"] = .string(Self.time(time)) }
          return .object(members)
        }),
    ]
    if let verdict {
      members["accepted"] = .bool(verdict.refusal == nil)
      if let refusal = verdict.refusal { members["refusal"] = .string(refusal) }
    }
    return .object(members)
  }

  private static func json(_ certificate: CertificateReport) -> JSONValue {
    var members: [String: JSONValue] = [
      "subject": .string(certificate.subject), "issuer": .string(certificate.issuer),
      "serialNumber": .string(certificate.serialNumber), "key": .string(certificate.key),
      "notBefore": .string(time(certificate.notBefore)),
      "notAfter": .string(time(certificate.notAfter)), "ca": .bool(certificate.isAuthority),
      "sha256": .string(certificate.fingerprint),
      "uriNames": .array((certificate.uriNames ?? []).map { .string($0) }),
    ]
    if let id = certificate.spiffeID { members["spiffeId"] = .string(id.description) }
    if let holder = certificate.spiffeID.flatMap(holder) {
      members[holder.kind == "tenant" ? "tenant" : "platformRole"] = .string(holder.name)
    }
    return .object(members)
  }

  private static func time(_ seconds: Int64) -> String {
    let text = GoogleProtobuf.Timestamp(seconds: seconds).text
    return text.isEmpty ? "\(seconds)" : text
  }

  private static func life(_ certificate: CertificateReport) -> String {
    let now = Int64(Date().timeIntervalSince1970)
    if now < certificate.notBefore { return " (not yet good)" }
    return now > certificate.notAfter ? " (over)" : ""
  }
}
