/// What the CAs in `authorities` may vouch for: certificates with a SPIFFE ID of one trust domain.
public struct TrustBundle: Sendable, Hashable {
  /// The name of the trust domain, such as `example.org`.
  public var domain: String
  /// PEM file: the CAs of that domain, and of no other.
  public var authorities: String
  /// PEM files with the CRLs of these CAs. With any, each certificate of a chain needs a current CRL of
  /// its issuer: where one is missing or has expired the peer is refused.
  public var revocations: [String]

  /// Reads nothing yet.
  /// - Parameters:
  ///   - authorities: PEM file.
  ///   - revocations: PEM files.
  public init(domain: String, authorities: String, revocations: [String] = []) {
    self.domain = domain
    self.authorities = authorities
    self.revocations = revocations
  }
}

/// A CA that is trusted besides those in files: for certificates with a SPIFFE ID of one trust domain, and for no
/// others. Where `TLSContext.Trust` names domains, that must be one of them.
public struct AddedAuthority: Sendable, Hashable {
  /// The name of the trust domain.
  public let domain: String
  /// PEM: the CA's own certificate, and behind it maybe others, which are not looked at. It need be no root.
  public let certificate: String

  /// Reads nothing yet.
  public init(domain: String, certificate: String) {
    self.domain = domain
    self.certificate = certificate
  }
}

/// What is negotiated by ALPN (RFC 7301).
public enum ApplicationProtocol: String, Sendable, Hashable, CaseIterable {
  /// HTTP/2 (RFC 9113 §3.2), for gRPC.
  case http2 = "h2"
  /// containerd's ttrpc.
  case ttrpc = "ttrpc"
}

/// How much a TLS peer may cost us.
public struct TLSLimits: Sendable, Hashable {
  /// A client that has not finished its handshake by then is cut off. Clients themselves wait for servers
  /// as `ClientLimits` says.
  public var handshakeTimeout = Duration.seconds(10)
  /// Certificates between a peer's own and a CA of the bundle (RFC 5280 §6.1).
  public var maximumIntermediates = 4
  /// How long a session may be resumed, at most; it also ends with the certificates and CRLs that the
  /// peer was verified by, and when ours are loaded anew. 0: sessions are not resumed.
  public var sessionLifetime = Duration.seconds(3600)
  /// Sessions kept for resumption, the newest.
  public var maximumSessions = 1024
  /// Peers whose verified chains are remembered, so that their signatures are not checked anew.
  public var maximumVerifiedPeers = 4096
  /// Post-handshake messages, which are KeyUpdates (RFC 8446 §4.6.3), that a peer may send at once …
  public var maximumKeyUpdateBurst = 1024
  /// … and for each MiB of data that it sends.
  public var keyUpdatesPerMebibyte = 16
  /// Records too small for the header of a frame that a peer may send at once …
  public var maximumSmallRecordBurst = 10_000
  /// … and for each second after that. Over either the connection ends.
  public var smallRecordsPerSecond = 1_000

  /// Each limit at its default.
  public init() {}
}

extension TLSContext {
  /// Which end of connections a context is for.
  public enum Side: Sendable {
    /// Takes handshakes.
    case server
    /// Begins them.
    case client
  }

  /// Judges a peer whose chain was verified. Returns why it is refused, or nil. Called on event loops,
  /// for each handshake, resumption and reload.
  public typealias PeerRule = @Sendable (PeerCertificate) -> String?

  /// The simple form: one identity, one CA bundle.
  public struct Files: Sendable, Hashable {
    /// PEM: the certificate, then intermediates.
    public var certificateChain: String
    /// PEM.
    public var privateKey: String
    /// PEM: the CAs that may vouch for the other side.
    public var peerAuthorities: String

    /// PEM, all three.
    public init(certificateChain: String, privateKey: String, peerAuthorities: String) {
      self.certificateChain = certificateChain
      self.privateKey = privateKey
      self.peerAuthorities = peerAuthorities
    }
  }

  /// Who may vouch for the other side.
  public enum Trust: Sendable, Hashable {
    /// The CAs of one bundle, for any name. With CRL files, as for `TrustBundle.revocations`.
    case authorities(String, revocations: [String] = [])
    /// Peers have SPIFFE IDs, and each trust domain's CAs vouch for that domain only.
    case domains([TrustBundle])
  }

  /// Whether a server asks its clients for a certificate.
  public enum ClientAuthentication: String, Sendable, CaseIterable {
    /// A client without one is refused.
    case required
    /// A client without one is `Peer.uncertified`; one that is presented must be good.
    case optional
    /// None is asked for: every client is `Peer.uncertified`.
    case none
  }

  /// What a context is made of. Files are read when the context is made, and at each reload.
  public struct Configuration: Sendable {
    /// PEM file: our certificate, then intermediates. Nil, for a client: none.
    public var certificateChain: String?
    /// PEM file: the key of our certificate, not encrypted.
    public var privateKey: String?
    /// Who may vouch for the other side.
    public var trust: Trust
    /// For a server.
    public var clientAuthentication = ClientAuthentication.required
    /// In order of preference; a server takes the first that the client offers. Nil: all of them on a
    /// server, HTTP/2 on a client.
    public var applicationProtocols: [ApplicationProtocol]?
    /// Whether a handshake without ALPN fails, on the server with the alert no_application_protocol.
    public var requiresApplicationProtocol = true
    /// How much a peer may cost.
    public var limits = TLSLimits()
    /// Whether connections may expect keys in the chains of their peers.
    package var pinsKeys = false
    /// A rule of the embedder, after all of ours.
    public var peerRule: PeerRule = { _ in nil }
    /// A rule of the embedder for certificates that name a registration entry: what it says may change at any time, so
    /// that it is asked whenever such a peer is looked at. Returns why the peer is refused, or nil.
    public var registrationRule: PeerRule = { _ in nil }
    /// A rule of the embedder for the files: asked each time before they are read. Returns why they are not
    /// to be used, or nil.
    public var fileRule: @Sendable () -> String? = { nil }
    /// CAs besides those in files: asked for each time that files are read. One that can't be read is passed over.
    public var addedAuthorities: @Sendable () -> [AddedAuthority] = { [] }
    /// CAs whose keys may be with others, in PEM: peers are refused whose chains have the key of one, whoever vouches
    /// for it. Asked for whenever `addedAuthorities` is, and after that. Nothing is loaded if one can't be read.
    public var refusedAuthorities: @Sendable () -> [String] = { [] }
    /// Seconds since 1970.
    var clock: @Sendable () -> Int64 = RealTime.seconds

    /// Reads nothing yet.
    /// - Parameters:
    ///   - certificateChain: PEM file; nil only for a client.
    ///   - privateKey: PEM file.
    public init(
      certificateChain: String?, privateKey: String?, trust: Trust,
      applicationProtocols: [ApplicationProtocol]? = nil
    ) {
      self.certificateChain = certificateChain
      self.privateKey = privateKey
      self.trust = trust
      self.applicationProtocols = applicationProtocols
    }

    func refusal(of certificate: PeerCertificate) -> String? {
      peerRule(certificate) ?? lapse(of: certificate)
    }

    /// Why the entry that a certificate was issued by refuses it.
    func lapse(of certificate: PeerCertificate) -> String? {
      certificate.registration == nil ? nil : registrationRule(certificate)
    }

    func protocols(_ side: Side) -> [ApplicationProtocol] {
      applicationProtocols ?? (side == .server ? [.http2, .ttrpc] : [.http2])
    }

    /// The usual three PEM files.
    public init(_ files: Files) {
      self.init(
        certificateChain: files.certificateChain, privateKey: files.privateKey,
        trust: .authorities(files.peerAuthorities))
    }

    /// All the files that it names.
    public var paths: [String] {
      let trusted: [String] =
        switch trust {
        case .authorities(let path, let revocations): [path] + revocations
        case .domains(let bundles): bundles.flatMap { [$0.authorities] + $0.revocations }
        }
      return [certificateChain, privateKey].compactMap { $0 } + trusted
    }
  }
}
