/// A directory with all the certificates that a server and its clients need on one machine.
///
/// For development: the CA's key lies beside what it signs.
package enum DevelopmentPKI {
  /// Leaves that end sooner are issued anew.
  package static let renewalDays = 7
  /// The workload of each tenant that gets a certificate.
  package static let workload = "dev"

  /// Where everything is.
  package struct Paths: Sendable, Hashable {
    /// `ca.pem`, `ca.key`.
    package let authority: CredentialFiles
    /// `server.pem`, `server.key`: for localhost, 127.0.0.1 and ::1.
    package let server: CredentialFiles
    /// `operator.pem`, `operator.key`: the platform role `admin`.
    package let platformOperator: CredentialFiles
    /// By tenant: `{tenant}.dev.pem`, `{tenant}.dev.key`.
    package let tenants: [String: CredentialFiles]
    /// The certificates that were not there, or no longer good.
    package let issued: [String]
  }

  /// Makes what is missing or about to expire, and leaves the rest as it is. The CA is replaced only
  /// when it has expired; all leaves then follow.
  /// - Throws: `PKIError`, also when the CA there is of another trust domain, or half of it is missing.
  package static func ensure(
    directory: String, trustDomain: String, tenants: [String] = []
  ) throws -> Paths {
    try makeDirectory(directory)
    var issued: [String] = []
    let authorityFiles = files(directory, "ca")
    let authority = try ensureAuthority(authorityFiles, trustDomain, &issued)

    func ensure(_ name: String, _ profile: CertificateProfile) throws -> CredentialFiles {
      let files = files(directory, name)
      if !authority.vouches(for: files, as: profile, days: renewalDays) {
        try authority.issue(profile).save(files, replacing: true)
        issued.append(files.certificate)
      }
      return files
    }
    let server = try ensure(
      "server", .server(dnsNames: ["localhost"], addresses: ["127.0.0.1", "::1"]))
    let platformOperator = try ensure("operator", .platform(role: "admin"))
    var workloads: [String: CredentialFiles] = [:]
    for tenant in tenants {
      let name = try workloadFileName(tenant: tenant, workload: workload)
      workloads[tenant] = try ensure(name, .workload(tenant: tenant, workload: workload))
    }
    return Paths(
      authority: authorityFiles, server: server, platformOperator: platformOperator,
      tenants: workloads, issued: issued)
  }

  /// `{tenant}.{workload}`; no two workloads share one, since tenants' names have no dots.
  /// - Throws: `PKIError` for what can't be a tenant's name.
  package static func workloadFileName(tenant: String, workload: String) throws -> String {
    "\(try NameRules.tenant(tenant)).\(workload)"
  }

  /// Makes a directory for its owner only, unless it is there.
  /// - Throws: `PKIError`.
  package static func makeDirectory(_ path: String) throws { try PEMFile.makeDirectory(path) }

  private static func files(_ directory: String, _ name: String) -> CredentialFiles {
    CredentialFiles(directory: directory, name: name)
  }

  private static func ensureAuthority(
    _ files: CredentialFiles, _ trustDomain: String, _ issued: inout [String]
  ) throws -> CertificateAuthority {
    switch (PEMFile.exists(files.certificate), PEMFile.exists(files.privateKey)) {
    case (true, true):
      let authority = try CertificateAuthority.load(files, trustDomain: trustDomain)
      if try authority.certificate.notAfter() > Clock.now() { return authority }
    case (false, false):
      break
    case (true, false):
      throw PKIError(.authority, "\(files.certificate) has no key: \(files.privateKey) is missing")
    case (false, true):
      throw PKIError(
        .authority, "\(files.privateKey) has no certificate: \(files.certificate) is missing")
    }
    let authority = try CertificateAuthority.create(
      commonName: "Tenancy development CA", trustDomain: trustDomain)
    try authority.save(files, replacing: true)
    issued.append(files.certificate)
    return authority
  }
}

extension CertificateAuthority {
  /// Whether `files` hold a certificate of this authority with the names of `profile` that is good
  /// for more than `days`, and its key.
  func vouches(for files: CredentialFiles, as profile: CertificateProfile, days: Int) -> Bool {
    do {
      let leaf = try Certificate(file: files.certificate)
      let now = Clock.now()
      return try leaf.isSigned(by: certificate) && leaf.fits(try PrivateKey(file: files.privateKey))
        && leaf.notBefore() <= now && leaf.notAfter() > now + Int64(days) * 86_400
        && Set(leaf.names()) == Set(profile.names(trustDomain: trustDomain))
    } catch {
      return false  // Not there or not readable: to be issued.
    }
  }
}
