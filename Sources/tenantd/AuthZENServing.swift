import Logging
import Tenancy
import TenancyMetrics
import TenancyRPC
import TenancyServer

/// AuthZEN, and where it is served.
struct AuthZENServing: Sendable {
  let point: AuthZENPoint
  /// Of its own listener; nil: it has none, or one in plain text.
  let tls: TLSContext?
  /// Nil: it is served where metrics are.
  let listen: ListenAddress?

  /// - Returns: nil: the configuration does not ask for it.
  init?(
    _ configuration: Configuration, _ plane: ControlPlane, _ counters: TenantCallCounters,
    _ decisions: DecisionLog, makeTLS: () throws -> TLSContext?
  ) throws {
    guard let settings = configuration.http?.authZEN else { return nil }
    var terms = AuthZENPoint.Terms(rules: configuration.identity)
    terms.tokens = configuration.tokens
    terms.counters = counters
    terms.decisions = decisions
    terms.base = settings.url
    point = AuthZENPoint(plane: plane, terms)
    listen = settings.listen
    tls = settings.isSecure ? try makeTLS() : nil
  }

  var exchange: AuthZENExchange { AuthZENExchange(point: point) }

  /// Starts its own listener, if it is to have one.
  func start(_ logger: Logger) async throws -> ProbeListener? {
    guard let listen else { return nil }
    let listener = ProbeListener(exchange: exchange, tls: tls) { _ in nil }
    do {
      let address = try await listener.start(listen)
      logger.info("authzen", metadata: ["address": "\(address)"])
    } catch {
      await listener.stop()
      throw ConfigurationError(
        description:
          "http.authzen: cannot listen on \(listen): \(SocketFailure.reason(error))")
    }
    return listener
  }

  /// What has become of requests.
  func render(into text: inout MetricsText) {
    let requests = "tenancy_authzen_requests_total"
    text.begin(requests, .counter, "Requests of AuthZEN, by the HTTP status of the answer.")
    for status in AuthZENTally.statuses {
      text.sample(
        requests, [("status", "\(status)")], String(point.tally.count(ofStatus: status)))
    }
    let decisions = "tenancy_authzen_decisions_total"
    text.begin(decisions, .counter, "Access evaluations of AuthZEN, by decision.")
    for decision in [true, false] {
      text.sample(
        decisions, [("decision", "\(decision)")],
        String(point.tally.count(ofDecision: decision)))
    }
  }
}

/// Passes HTTP requests on to the decision point.
struct AuthZENExchange: HTTPExchange {
  let point: AuthZENPoint

  func takes(_ path: String) -> Bool { AuthZENPoint.takes(path) }

  func open(_ peer: HTTPPeer) -> (any HTTPConversation)? {
    let label = peer.label
    return point.client(peer.peer, refusal: peer.refusal, source: { label })
      .map { Conversation(point: point, client: $0) }
  }

  private struct Conversation: HTTPConversation {
    let point: AuthZENPoint
    let client: AuthZENPoint.Client

    func begin(_ head: HTTPHead) async -> HTTPBeginning {
      let head = AuthZENHead(method: head.method, path: head.path, fields: head.fields)
      return switch await point.begin(head, from: client) {
      case .answer(let answer): .answer(HTTPAnswer(answer))
      case .body(let turn): .body(Turn(point: point, turn: turn))
      }
    }
  }

  private struct Turn: HTTPTurn {
    let point: AuthZENPoint
    let turn: AuthZENPoint.Turn

    var maximumBytes: Int { turn.maximumBytes }
    func answer(_ body: [UInt8]) async -> HTTPAnswer { HTTPAnswer(await point.answer(turn, body)) }
    func answerTooLarge() async -> HTTPAnswer { HTTPAnswer(await point.answerTooLarge(turn)) }
  }
}

extension HTTPAnswer {
  fileprivate init(_ answer: AuthZENAnswer) {
    self.init(
      status: answer.status, fields: answer.fields.map { ($0.name, $0.value) }, body: answer.body)
  }
}
