import ArgumentParser
import TenancyCrypto

/// `tenantctl pki …`.
struct PKIGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pki", abstract: "Makes a certificate authority and certificates.",
    discussion: """
      NAME.pem is the certificate, NAME.key the private key, which only its owner can read. The CA \
      is ca.pem and ca.key in the same directory, and its CRL ca.crl.
      """,
    subcommands: [
      CACommand.self, ServerCertificateCommand.self, TenantCertificateCommand.self,
      OperatorCertificateCommand.self, RevocationListCommand.self, InspectCertificateCommand.self,
      AuthorityGroup.self,
    ])
}

/// Where certificates go.
struct DirectoryOptions: ParsableArguments {
  /// The CA's files; no other certificate may have this name.
  static let authorityName = "ca"

  @Option(help: "Where the files are.") var directory = "./pki"
  @Flag(help: "Replaces files that are there.") var force = false

  func files(_ name: String) throws(UsageError) -> CredentialFiles {
    guard !name.isEmpty, !name.hasPrefix("."), !name.contains("/") else {
      throw UsageError("'\(name)' can't be a file's name")
    }
    return CredentialFiles(directory: directory, name: name)
  }
}

/// What all certificates but the CA's have in common.
struct LeafOptions: ParsableArguments {
  @OptionGroup var place: DirectoryOptions
  @Option(help: "The SPIFFE trust domain, if the CA's certificate does not name it.")
  var trustDomain: String?
  @Option(help: "How long it is good; no longer than the CA.")
  var days = CertificateAuthority.defaultLeafDays

  /// Issues and stores one, and says so.
  func issue(_ profile: CertificateProfile, name: String) throws {
    guard name != DirectoryOptions.authorityName else {
      throw UsageError("'\(name)' is the CA's name; give another with --name")
    }
    let files = try place.files(name)
    let authority = try CertificateAuthority.load(
      try place.files(DirectoryOptions.authorityName), trustDomain: trustDomain)
    try authority.issue(profile, days: days).save(files, replacing: place.force)
    print("wrote \(files.certificate)\nwrote \(files.privateKey)")
  }
}

struct CACommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ca", abstract: "Makes a certificate authority for a trust domain.")

  @OptionGroup var place: DirectoryOptions
  @Option(help: "The SPIFFE trust domain that it vouches for.") var trustDomain: String
  @Option(help: "Its name for people.") var name = "Tenancy CA"
  @Option(help: "How long it is good.") var days = CertificateAuthority.defaultDays

  func run() throws {
    let files = try place.files(DirectoryOptions.authorityName)
    let authority = try CertificateAuthority.create(
      commonName: name, trustDomain: trustDomain, days: days)
    try DevelopmentPKI.makeDirectory(place.directory)
    try authority.save(files, replacing: place.force)
    print("wrote \(files.certificate)\nwrote \(files.privateKey)")
  }
}

struct ServerCertificateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "server", abstract: "Makes a server's certificate.")

  @OptionGroup var leaf: LeafOptions
  @Option(help: "A DNS name of the server. May be repeated.") var dns: [String] = []
  @Option(help: "An IP address of the server. May be repeated.") var ip: [String] = []
  @Option(help: "The files' name.") var name = "server"

  func run() throws { try leaf.issue(.server(dnsNames: dns, addresses: ip), name: name) }
}

struct TenantCertificateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tenant", abstract: "Makes a certificate for a tenant's workload.")

  @OptionGroup var leaf: LeafOptions
  @Option(help: "The tenant's slug or id.") var tenant: String
  @Option(help: "The workload.") var workload: String
  @Option(help: "The files' name; TENANT.WORKLOAD if absent.") var name: String?

  func run() throws {
    let fileName = try DevelopmentPKI.workloadFileName(tenant: tenant, workload: workload)
    try leaf.issue(.workload(tenant: tenant, workload: workload), name: name ?? fileName)
  }
}

struct OperatorCertificateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "operator", abstract: "Makes a certificate for an operator of the platform.")

  @OptionGroup var leaf: LeafOptions
  @Option(help: "The platform role.") var role = "admin"
  @Option(help: "The files' name; 'operator' for the role admin, else the role.") var name: String?

  func run() throws {
    try leaf.issue(.platform(role: role), name: name ?? (role == "admin" ? "operator" : role))
  }
}
