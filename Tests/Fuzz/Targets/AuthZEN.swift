import Tenancy
import TenancyTokens

@testable import TenancyServer

/// Requests of AuthZEN.
let authZENTargets: [FuzzTarget] = [
  FuzzTarget("authzen") {
    [
      #"{"subject":{"type":"user","id":"a"},"action":{"name":"r"},"resource":{"type":"d","id":"1"}}"#,
      #"{"subject":{"type":"workload","id":"spiffe://d/x"},"action":{"name":"r","properties":{"n":1e3}},"#
        + #""context":{"a":[null]},"evaluations":[{"resource":{"type":"d","id":"1"}},{}],"#
        + #""options":{"evaluations_semantic":"deny_on_first_deny"}}"#,
      "/tenants/acme/access/v1/evaluation",
    ].map { Array($0.utf8) }
  } run: { input in
    if let route = AuthZENRoute(String(decoding: input, as: UTF8.self)) {
      try check(route.tenant.map { !$0.isEmpty && !$0.contains("/") } ?? true, "tenant")
    }
    for isBatch in [false, true] {
      let request: AuthZENRequest
      do throws(TenancyError) {
        request = try AuthZENRequest(input, isBatch: isBatch)
      } catch {
        try check(error.category == .invalidArgument && !error.violations.isEmpty, "\(error)")
        continue
      }
      switch request {
      case .one(let question): try checkQuestion(question)
      case .several(let questions, _):
        try check((1...CheckService.maximumBatch).contains(questions.count), "as many")
        for case .success(let question) in questions { try checkQuestion(question) }
      }
    }
  }
]

/// What is asked is always something that can be asked.
private func checkQuestion(_ question: AuthZENQuestion) throws(PropertyFailure) {
  let permission = Permission(parsing: question.permission)
  try check(permission != nil && permission?.hasWildcard == false, "a permission")
  try check(!question.resource.isEmpty, "an instance")
  try check(
    (1...RoleCommands.maximumSubjectBytes).contains(question.subject.utf8.count), "a subject")
}
