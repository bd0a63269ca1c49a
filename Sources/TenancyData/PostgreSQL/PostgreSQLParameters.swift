internal import Glibc

/// What to connect to one host with.
struct PostgreSQLParameters {
  let place: PostgreSQLPlace
  let configuration: DataConfiguration

  /// What is wrong with the place; nil: nothing that is seen before connecting.
  var problem: DataError? {
    guard !place.hosts.isEmpty else { return DataError(.placeUnknown, "the place has no hosts") }
    if place.tls == nil, let remote = place.hosts.first(where: { !$0.isLocal }) {
      return DataError(.unsafePlace, "\(remote.name) is not on this machine: TLS is needed")
    }
    let texts = [place.database, place.user, place.password] + place.searchPath
    if texts.contains(where: { $0.utf8.contains(0) }) || place.user.isEmpty {
      return DataError(.unsafePlace, "the place has names that are none")
    }
    return nil
  }

  /// In the library's keywords.
  /// - Parameter address: the host's, where it has a name.
  func keywords(
    for host: PostgreSQLPlace.Host, address: String?
  ) -> [(keyword: String, value: String)] {
    var keywords: [(keyword: String, value: String)] = [
      ("host", host.name), ("port", "\(host.port)"), ("dbname", place.database),
      ("user", place.user), ("password", place.password), ("client_encoding", "UTF8"),
      ("application_name", configuration.applicationName),
      ("target_session_attrs", "read-write"), ("options", options), ("gssencmode", "disable"),
      ("keepalives", "1"), ("keepalives_idle", "10"), ("keepalives_interval", "5"),
      ("keepalives_count", "3"), ("tcp_user_timeout", "30000"),
    ]
    if let address { keywords.append(("hostaddr", address)) }
    guard let tls = place.tls, !host.name.hasPrefix("/") else {
      return keywords + [("sslmode", "disable")]
    }
    keywords += [("sslmode", "verify-full"), ("sslrootcert", tls.authorities)]
    if let certificate = tls.certificate { keywords.append(("sslcert", certificate)) }
    if let key = tls.privateKey { keywords.append(("sslkey", key)) }
    return keywords
  }

  /// What the session has from its start, and again after `DISCARD ALL`: whatever the login's own settings are, which it
  /// may change by itself.
  private var options: String {
    var settings = [
      "idle_in_transaction_session_timeout="
        + "\(configuration.idleInTransactionTimeout.milliseconds)",
      "client_min_messages=warning", "row_security=on", "default_transaction_read_only=off",
      "bytea_output=hex", "DateStyle=ISO", "IntervalStyle=iso_8601", "extra_float_digits=1",
      "tcp_keepalives_idle=10", "tcp_keepalives_interval=5", "tcp_keepalives_count=3",
    ]
    if !place.searchPath.isEmpty {
      let path = place.searchPath.map { "\"\($0.replacing("\"", with: "\"\""))\"" }
      settings.append("search_path=\(path.joined(separator: ","))")
    }
    return settings.map { "-c \(Self.escaped($0))" }.joined(separator: " ")
  }

  /// Spaces end a setting, and backslashes keep them from it.
  private static func escaped(_ text: String) -> String {
    text.replacing("\\", with: "\\\\").replacing(" ", with: "\\ ")
  }
}

extension Duration {
  /// Rounded up, and never less than one.
  var milliseconds: Int64 {
    let (seconds, attoseconds) = components
    return max(1, seconds * 1000 + attoseconds / 1_000_000_000_000_000)
  }
}

/// The addresses of hosts. Looking them up blocks.
enum HostNames {
  /// Numeric; none where there is none.
  static func addresses(of name: String) -> [String] {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_ADDRCONFIG
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(name, nil, &hints, &found) == 0 else { return [] }
    defer { freeaddrinfo(found) }
    var addresses: [String] = []
    var next = found
    while let info = next {
      var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      let code = getnameinfo(
        info.pointee.ai_addr, info.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0,
        NI_NUMERICHOST)
      let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      if code == 0 { addresses.append(String(decoding: bytes, as: UTF8.self)) }
      next = info.pointee.ai_next
    }
    return addresses
  }
}
