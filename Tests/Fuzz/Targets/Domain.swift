@testable import Tenancy
@testable import TenancyServer

/// What requests and their headers say of tenants.
let domainTargets: [FuzzTarget] = [
  FuzzTarget("path") {
    [
      "/tenants/acme/x", "/tenants/acme", "/tenants/", "/tenants//a", "/tenants/a%2f", "/a/../b",
      "x",
    ]
    .map { Array($0.utf8) }
  } run: { input in
    // What is parsed is found again in a path that says nothing else.
    guard let range = try pathName(input, [.tenants]) else { return }
    try checkName(input, range)
    let prefix = Array("/tenants/".utf8)
    let plain = prefix + input[range]
    try checkEqual(
      try pathName(plain, [.tenants]), prefix.count..<plain.count, "parsed again")
  },

  FuzzTarget("path-pattern") {
    [
      "/a/*/{tenantId}/x\0/a/b/acme/x/y", "/{tenantId}\0/acme?x", "/*\0/",
      "/{tenantId}/{tenantId}\0x",
    ]
    .map { Array($0.utf8) }
  } run: { input in
    // A pattern, and a path behind the first NUL.
    let end = input.firstIndex(of: 0) ?? input.count
    let text = String(decoding: input[..<end], as: UTF8.self)
    guard let pattern = PathPattern(parsing: text) else { return }
    try checkEqual(pattern.description, text, "description")
    let path = Array(input[min(end + 1, input.count)...])
    guard let range = try pathName(path, [pattern]) else { return }
    try checkName(path, range)
    try check(path[range.lowerBound - 1] == UInt8(ascii: "/"), "a segment begins behind a slash")
    if range.upperBound < path.count {
      try check("/?#".utf8.contains(path[range.upperBound]), "a segment ends at a border")
    }
  },

  FuzzTarget("query") {
    [
      "/?tenant=acme", "/x?a=b&tenant=acme&c#d", "/?t%65nant=a", "/?tenant=a;tenant=b",
      "/#?tenant=a",
      "/?tenant=a&tenant=b", "/?tenant", "/?tenant=%41",
    ]
    .map { Array($0.utf8) }
  } run: { input in
    let name = "tenant"
    let range = try selector(input) { bytes throws(TenancyError) in
      switch try SelectorParsing.query(bytes, parameter: name) {
      case .name(let range), .contradictory(let range): range
      case .notGiven, .noMatch, .excluded, .ignored, .domain: nil
      }
    }
    guard let range else { return }
    try checkName(input, range)
    let start = range.lowerBound - name.utf8.count - 1
    try check(
      String(decoding: input[start..<range.lowerBound], as: UTF8.self) == name + "=", "its name")
    try check("?&".utf8.contains(input[start - 1]), "a parameter begins behind ? or &")
  },

  FuzzTarget("host") {
    ["acme.example.com", "acme.example.com:443", "ACME.Example.COM.", "a.b.example.com", "[::1]:1"]
      .map { Array($0.utf8) }
  } run: { input in
    let bases = ["example.com", "b.example.com"]
    let named = try selector(input) { bytes throws(TenancyError) in
      try SelectorParsing.host(bytes, baseDomains: bases)
    }
    guard let range = named else {
      let domain = try selector(input) { bytes throws(TenancyError) in
        guard try SelectorParsing.host(bytes, baseDomains: bases) == nil else { return nil }
        return try SelectorParsing.domain(bytes, baseDomains: bases)
      }
      guard let domain else { return }
      let text = String(decoding: input[domain], as: UTF8.self)
      guard let name = DomainName(anyCase: text) else { return }
      try check(name.text.utf8.elementsEqual(text.lowercased().utf8), "its own name")
      try check(!bases.contains(where: name.isWithin), "a base domain is nobody's")
      return
    }
    try checkName(input, range)
    try checkEqual(range.lowerBound, 0, "start")
    try check(input[range.upperBound] == UInt8(ascii: "."), "a label ends at a dot")
  },

  FuzzTarget("header-value") {
    ["acme", "tenants/acme", "a,b", "", "\0", "0190cafe-0000-7000-8000-000000000000"].map {
      Array($0.utf8)
    }
  } run: { input in
    guard
      let range = try selector(
        input,
        { bytes throws(TenancyError) in
          try SelectorParsing.value(bytes, "header")
        })
    else { return }
    try checkEqual(range, 0..<input.count, "all of it")
    try checkName(input, range)
  },

  FuzzTarget("names") {
    ["acme", "tenants/acme", "a-b-c", "equipment:read", "*:*", "tenancy.roles:get"].map {
      Array($0.utf8)
    } + [Array(TenantID.generate(atMilliseconds: 1_700_000_000_000).description.utf8)]
  } run: { input in
    let text = String(decoding: input, as: UTF8.self)
    if let slug = Slug(parsing: text) {
      try checkEqual(slug.text, text, "slug")
      try check(TenantID(parsing: text) == nil, "both a slug and an id")
    }
    if let id = TenantID(parsing: text) { try checkEqual(id.description, text, "id") }
    let permission = Permission(parsing: text)
    if let permission { try checkEqual(permission.text, text, "permission") }
    // Questions are checked without making text; the answer has to be the same.
    let isQuestion = Permission.colon(in: text.utf8Span.span.bytes) != nil
    try checkEqual(isQuestion, permission.map { !$0.hasWildcard } ?? false, "question")
    if let slug = Slug(deriving: text) {
      try checkEqual(Slug(parsing: slug.text), slug, "a derived slug is one")
    }
    for form in [TenantNames.Form.tenant, .child] {
      let bare = TenantNames.bareName(input.span.bytes, form).byteCount
      try check(bare <= input.count, "grew")
    }
  },

  FuzzTarget("filter") {
    [
      #"state = ACTIVE AND slug = "acme-*""#, #"display_name != "x y" "#, "isolation_model=SHARED",
      "", "AND", "state = ", #"slug = ""#, #"NOT (a OR -labels.b:"c\"*")"#,
      #"labels.region = (eu OR -us) OR custom_settings."a b" >= -1.5e3 labels:x"#,
      #"create_time < "2026-01-31T09:30:00.25+01:00" feature_flags.x != true plan='p*'"#,
    ].map { Array($0.utf8) }
  } run: { input in
    // Refused or understood, and then nothing that a tenant has is too much for it.
    let text = String(decoding: input, as: UTF8.self)
    guard let filter = try? TenantFilter(parsing: text) else { return }
    var budget = WorkBudget()
    for tenant in FilterSample.tenants { _ = filter.matches(tenant, &budget) }
    let most = FilterParser.maximumTests + FilterParser.maximumLength / 64
    try check(budget.visits <= FilterSample.tenants.count * most, "a filter looks too often")
  },

  FuzzTarget("page-token") {
    let first = try Page(size: 10, token: "", question: "q")
    return [Array(first.token(after: "acme").utf8), Array(first.token(after: "").utf8), []]
  } run: { input in
    let text = String(decoding: input, as: UTF8.self)
    if let decoded = Hex.decode(text, maximumLength: Page.maximumTokenLength) {
      try checkEqual(Hex.encode(decoded), text, "hex")
    }
    guard let page = try? Page(size: 1, token: text, question: "q"), let key = page.after else {
      return
    }
    let again = try Page(size: 1, token: page.token(after: key), question: "q")
    try checkEqual(again.after, key, "token")
  },
]

private enum FilterSample {
  static let tenants: [Tenant] = {
    guard let slug = Slug(parsing: "acme") else { return [] }
    let plain = Tenant(
      id: TenantID(high: 0x7000, low: 1 << 63), slug: slug,
      displayName: "x y", state: .active, isolationModel: .shared,
      configuration: TenantConfiguration(), version: 1, epoch: 1,
      createTime: Timestamp(nanoseconds: 0), updateTime: Timestamp(nanoseconds: .max))
    var rich = plain
    rich.metadata.labels = ["b": "c", "region": "eu", "x": ""]
    rich.configuration.customSettings = [
      "a b": .number(-1.5), "x": .string("\u{301}"), "y": .bool(true), "z": .null,
    ]
    rich.configuration.featureFlags = ["x": true]
    rich.configuration.limits = LimitSettings(plan: "p")
    return [plain, rich]
  }()
}

private func pathName(_ input: [UInt8], _ patterns: [PathPattern]) throws -> Range<Int>? {
  try selector(input) { bytes throws(TenancyError) in
    switch try SelectorParsing.path(bytes, patterns: patterns) {
    case .name(let range), .contradictory(let range): range
    case .notGiven, .noMatch, .excluded, .ignored, .domain: nil
    }
  }
}

/// A range of `input`, nil if it is refused or names nothing.
private func selector(
  _ input: [UInt8], _ parse: (RawSpan) throws(TenancyError) -> Range<Int>?
) throws -> Range<Int>? {
  do {
    guard let range = try parse(input.span.bytes) else { return nil }
    try check(range.lowerBound >= 0 && range.upperBound <= input.count, "outside of the input")
    return range
  } catch is TenancyError {
    return nil
  }
}

/// What names a tenant can't be anything but a name.
private func checkName(_ input: [UInt8], _ range: Range<Int>) throws {
  try check((1...Slug.maximumLength).contains(range.count), "a name of \(range.count) bytes")
  let name = String(decoding: input[range], as: UTF8.self)
  try check(
    name.utf8.allSatisfy {
      $0 == UInt8(ascii: "-") || (0x30...0x39).contains($0) || (0x41...0x5A).contains($0)
        || (0x61...0x7A).contains($0)
    }, "the name \(name)")
}
