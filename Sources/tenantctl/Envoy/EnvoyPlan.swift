import Tenancy

/// An address as Envoy's configuration has it.
enum EnvoyAddress: Hashable {
  case tcp(host: String, port: Int)
  case unix(path: String)

  /// `HOST:PORT`, `[IPv6]:PORT` or `unix:PATH`.
  init(parsing text: String, option: String) throws(UsageError) {
    let scheme = "unix:"
    if text.hasPrefix(scheme) {
      let path = String(text.dropFirst(scheme.count))
      guard path.hasPrefix("/") else {
        throw UsageError("\(option): the socket's path begins with a slash")
      }
      self = .unix(path: path)
      return
    }
    guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
      (1...65_535).contains(port)
    else { throw UsageError("\(option): '\(text)' is neither HOST:PORT nor unix:PATH") }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    guard !host.isEmpty else { throw UsageError("\(option): '\(text)' names no host") }
    self = .tcp(host: String(host), port: port)
  }

  var isLocal: Bool {
    switch self {
    case .tcp(let host, _): host == "::1" || host.hasPrefix("127.")
    case .unix: true
    }
  }

  var json: JSONValue {
    switch self {
    case .tcp(let host, let port):
      ["socket_address": ["address": .string(host), "port_value": .number(Double(port))]]
    case .unix(let path): ["pipe": ["path": .string(path)]]
    }
  }
}

/// What Envoy is to do, and the configuration that has it do so.
struct EnvoyPlan {
  struct Credential: Equatable {
    let certificate: String
    let key: String
  }

  struct RateLimits: Equatable {
    let domain: String
    /// Empty: the usual one.
    let names: [String]
  }

  let listen: EnvoyAddress
  let upstream: EnvoyAddress
  let tenantd: EnvoyAddress
  var timeoutMilliseconds = 200
  /// Within which a client has to have sent all of a request.
  var requestSeconds = 60
  /// What tenantd's limits are for, by their names; nil: requests are not limited.
  var limits: RateLimits?
  var heapMebibytes = 512
  var admin: EnvoyAddress?
  /// Envoy's own; nil: it listens without TLS.
  var server: Credential?
  var clientAuthorities: String?
  var requiresClientCertificate = false
  /// What Envoy shows to tenantd; nil over a Unix socket.
  var client: Credential?
  var serverAuthorities: String?
  var serverName = ""

  /// Set by tenantd's answers, and nobody else's to set. `x-tenant-id` is looked at before it is overwritten: it may
  /// narrow what a request is for.
  static let stripped = ["x-tenant-slug", "x-tenant-subject", "x-tenant-actor"]
  /// Connections and requests at once, of all clients and to the upstream.
  static let maximumRequests = 10_000

  var json: JSONValue {
    var members: [String: JSONValue] = [
      "static_resources": [
        "listeners": [listener],
        "clusters": [upstreamCluster, tenantdCluster],
      ],
      "overload_manager": [
        "resource_monitors": [
          [
            "name": "envoy.resource_monitors.global_downstream_max_connections",
            "typed_config": [
              "@type": Self.type(
                "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
              ),
              "max_active_downstream_connections": .number(Double(Self.maximumRequests)),
            ],
          ],
          [
            "name": "envoy.resource_monitors.fixed_heap",
            "typed_config": [
              "@type": Self.type("extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig"),
              "max_heap_size_bytes": .number(Double(heapMebibytes) * 1_048_576),
            ],
          ],
        ],
        "actions": [
          Self.overload("envoy.overload_actions.shrink_heap", at: 0.95),
          Self.overload("envoy.overload_actions.stop_accepting_requests", at: 0.98),
        ],
      ],
    ]
    if let admin { members["admin"] = ["address": admin.json] }
    return .object(members)
  }

  private static func overload(_ action: JSONValue, at threshold: Double) -> JSONValue {
    [
      "name": action,
      "triggers": [
        [
          "name": "envoy.resource_monitors.fixed_heap",
          "threshold": ["value": .number(threshold)],
        ]
      ],
    ]
  }

  static func type(_ name: String) -> JSONValue { .string("type.googleapis.com/envoy.\(name)") }

  // MARK: Listener

  private var listener: JSONValue {
    var chain: [String: JSONValue] = ["filters": [connectionManager]]
    if let server {
      chain["transport_socket"] = downstreamTLS(server)
      chain["transport_socket_connect_timeout"] = "10s"
    }
    return [
      "name": "requests", "address": listen.json,
      "per_connection_buffer_limit_bytes": 32_768,
      "filter_chains": [.object(chain)],
    ]
  }

  private func downstreamTLS(_ server: Credential) -> JSONValue {
    var context: [String: JSONValue] = [
      "tls_params": ["tls_minimum_protocol_version": "TLSv1_2"],
      "tls_certificates": [Self.certificate(server)],
      "alpn_protocols": ["h2", "http/1.1"],
    ]
    if let clientAuthorities {
      context["validation_context"] = ["trusted_ca": ["filename": .string(clientAuthorities)]]
    }
    return [
      "name": "envoy.transport_sockets.tls",
      "typed_config": [
        "@type": Self.type("extensions.transport_sockets.tls.v3.DownstreamTlsContext"),
        "require_client_certificate": .bool(requiresClientCertificate),
        "common_tls_context": .object(context),
      ],
    ]
  }

  private static func certificate(_ credential: Credential) -> JSONValue {
    [
      "certificate_chain": ["filename": .string(credential.certificate)],
      "private_key": ["filename": .string(credential.key)],
    ]
  }

  private var connectionManager: JSONValue {
    [
      "name": "envoy.filters.network.http_connection_manager",
      "typed_config": [
        "@type": Self.type(
          "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "requests",
        "codec_type": "AUTO",
        // What tenantd judges is what the upstream gets.
        "normalize_path": true,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": [
          "headers_with_underscores_action": "REJECT_REQUEST", "idle_timeout": "120s",
        ],
        "http2_protocol_options": [
          "max_concurrent_streams": 100, "initial_stream_window_size": 65_536,
          "initial_connection_window_size": 1_048_576,
        ],
        "use_remote_address": true,
        "forward_client_cert_details": "SANITIZE",
        "request_headers_timeout": "10s",
        "request_timeout": .string("\(requestSeconds)s"),
        "stream_idle_timeout": "300s",
        "http_filters": .array(
          [stripping, authorization] + (limits.map { [limiting($0)] } ?? []) + [router]),
        "route_config": [
          "name": "requests",
          "virtual_hosts": [
            [
              "name": "upstream", "domains": ["*"],
              "routes": [["match": ["prefix": "/"], "route": .object(route)]],
            ]
          ],
        ],
      ],
    ]
  }

  private var stripping: JSONValue {
    [
      "name": "envoy.filters.http.header_mutation",
      "typed_config": [
        "@type": Self.type("extensions.filters.http.header_mutation.v3.HeaderMutation"),
        "mutations": [
          "request_mutations": .array(Self.stripped.map { ["remove": .string($0)] })
        ],
      ],
    ]
  }

  private var authorization: JSONValue {
    [
      "name": "envoy.filters.http.ext_authz",
      "typed_config": [
        "@type": Self.type("extensions.filters.http.ext_authz.v3.ExtAuthz"),
        "transport_api_version": "V3",
        "grpc_service": [
          "envoy_grpc": ["cluster_name": "tenantd"],
          "timeout": .string(Self.seconds(timeoutMilliseconds)),
        ],
        // Nothing goes on that was not judged.
        "failure_mode_allow": false,
        "status_on_error": ["code": "ServiceUnavailable"],
        "include_peer_certificate": true,
        "validate_mutations": true,
      ],
    ]
  }

  /// Who has no tenant, because the request needs none, has no limit of a tenant's either.
  private var route: [String: JSONValue] {
    var route: [String: JSONValue] = ["cluster": "upstream"]
    guard let limits else { return route }
    let tenant: JSONValue = [
      "metadata": [
        "descriptor_key": "tenant", "source": "DYNAMIC",
        "metadata_key": [
          "key": "envoy.filters.http.ext_authz", "path": [["key": "tenant"]],
        ],
      ]
    ]
    let named: [[JSONValue]] =
      limits.names.isEmpty
      ? [[tenant]]
      : limits.names.map { name in
        [
          tenant,
          ["generic_key": ["descriptor_key": "limit", "descriptor_value": .string(name)]],
        ]
      }
    route["rate_limits"] = .array(named.map { ["actions": .array($0)] })
    return route
  }

  private func limiting(_ limits: RateLimits) -> JSONValue {
    [
      "name": "envoy.filters.http.ratelimit",
      "typed_config": [
        "@type": Self.type("extensions.filters.http.ratelimit.v3.RateLimit"),
        "domain": .string(limits.domain),
        "timeout": .string(Self.seconds(timeoutMilliseconds)),
        // Nothing goes on that was not judged.
        "failure_mode_deny": true,
        "status_on_error": ["code": "ServiceUnavailable"],
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
        "rate_limit_service": [
          "transport_api_version": "V3",
          "grpc_service": ["envoy_grpc": ["cluster_name": "tenantd"]],
        ],
      ],
    ]
  }

  static func seconds(_ milliseconds: Int) -> String {
    let fraction = String(1000 + milliseconds % 1000).dropFirst()
    return "\(milliseconds / 1000).\(fraction)s"
  }

  private var router: JSONValue {
    [
      "name": "envoy.filters.http.router",
      "typed_config": ["@type": Self.type("extensions.filters.http.router.v3.Router")],
    ]
  }

  // MARK: Clusters

  private var upstreamCluster: JSONValue { .object(Self.cluster("upstream", upstream)) }

  private static func cluster(_ name: String, _ address: EnvoyAddress) -> [String: JSONValue] {
    let kind =
      switch address {
      case .tcp: "STRICT_DNS"
      case .unix: "STATIC"
      }
    return [
      "name": .string(name), "type": .string(kind), "connect_timeout": "1s",
      "per_connection_buffer_limit_bytes": 32_768,
      "circuit_breakers": [
        "thresholds": [
          [
            "max_connections": .number(Double(maximumRequests)),
            "max_pending_requests": .number(Double(maximumRequests)),
            "max_requests": .number(Double(maximumRequests)),
          ]
        ]
      ],
      "load_assignment": [
        "cluster_name": .string(name),
        "endpoints": [["lb_endpoints": [["endpoint": ["address": address.json]]]]],
      ],
    ]
  }

  private var tenantdCluster: JSONValue {
    var members = Self.cluster("tenantd", tenantd)
    members["typed_extension_protocol_options"] = [
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": [
        "@type": Self.type("extensions.upstreams.http.v3.HttpProtocolOptions"),
        "explicit_http_config": [
          "http2_protocol_options": [
            // A server that is gone without a word is noticed.
            "connection_keepalive": ["interval": "30s", "timeout": "5s"]
          ]
        ],
      ]
    ]
    if let client { members["transport_socket"] = upstreamTLS(client) }
    return .object(members)
  }

  private func upstreamTLS(_ client: Credential) -> JSONValue {
    let isAddress = serverName.contains(":") || serverName.allSatisfy { $0.isNumber || $0 == "." }
    var config: [String: JSONValue] = [
      "@type": Self.type("extensions.transport_sockets.tls.v3.UpstreamTlsContext"),
      "common_tls_context": [
        // Without this, TLS ends at 1.2 here.
        "tls_params": [
          "tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3",
        ],
        "tls_certificates": [Self.certificate(client)],
        "alpn_protocols": ["h2"],
        "validation_context": [
          "trusted_ca": ["filename": .string(serverAuthorities ?? "")],
          "match_typed_subject_alt_names": [
            [
              "san_type": .string(isAddress ? "IP_ADDRESS" : "DNS"),
              "matcher": ["exact": .string(serverName)],
            ]
          ],
        ],
      ],
    ]
    if !isAddress { config["sni"] = .string(serverName) }
    return ["name": "envoy.transport_sockets.tls", "typed_config": .object(config)]
  }
}
