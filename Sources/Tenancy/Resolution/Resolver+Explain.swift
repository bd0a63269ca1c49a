/// A resolution, source by source.
public struct ResolutionAccount: Sendable {
  /// What one source said.
  public struct Finding: Sendable, Equatable {
    /// The source.
    public let strategy: ResolutionStrategy
    /// What it said, or why it named nobody.
    public let statement: SourceStatement
    /// The id or slug of the tenant that it named; of another name what it gave, in lower case; else empty.
    public let value: String
  }

  /// One of every source but the default, the most trusted first, then credentials, then what is switched off.
  public let findings: [Finding]
  /// What `Resolver.resolve` comes to.
  public let outcome: Result<Resolution, TenancyError>

  /// What decided.
  public var rule: ResolutionVerdictRule {
    switch outcome {
    case .success(let resolution): resolution.rule
    case .failure(let error): ResolutionVerdictRule(refusing: error)
    }
  }
}

extension Resolver {
  /// Resolves, and tells of every source what it said. For callers with a tenant of their own all other names are
  /// alike. Makes texts: not for hot paths.
  public func explain(
    _ selectors: borrowing RequestSelectors, token: RawSpan? = nil,
    state: borrowing ControlState, home: TenantRecord?, now: Timestamp, mayFallBack: Bool
  ) -> ResolutionAccount {
    let outcome: Result<Resolution, TenancyError>
    do throws(TenancyError) {
      outcome = .success(
        try resolve(
          selectors, token: token, state: state, home: home, now: now, mayFallBack: mayFallBack))
    } catch {
      outcome = .failure(error)
    }
    let witness = Witness(token, home, state)
    var findings = rules.order.map { find($0, selectors, witness, state) }
    findings.append(
      ResolutionAccount.Finding(
        strategy: .credential, statement: home == nil ? .notGiven : .named,
        value: home?.idText ?? ""))
    if let token {
      findings.append(witness.finding(.token, token, state))
    } else {
      findings.append(ResolutionAccount.Finding(.token, .notGiven))
    }
    for strategy in ResolutionStrategy.selectors where !rules.order.contains(strategy) {
      findings.append(ResolutionAccount.Finding(strategy, .switchedOff))
    }
    return ResolutionAccount(findings: findings, outcome: outcome)
  }

  private func find(
    _ strategy: ResolutionStrategy, _ selectors: borrowing RequestSelectors, _ witness: Witness,
    _ state: borrowing ControlState
  ) -> ResolutionAccount.Finding {
    let isGiven = selectors.given.contains(strategy == .query ? .path : strategy)
    guard isGiven else { return ResolutionAccount.Finding(strategy, .notGiven) }
    do throws(TenancyError) {
      switch strategy {
      case .path:
        return witness.finding(strategy, selectors.path, try readPath(selectors.path), state)
      case .query:
        let reading = try readQuery(selectors.path)
        return witness.finding(strategy, selectors.path, reading, state)
      case .subdomain:
        return witness.finding(strategy, selectors.host, try readHost(selectors.host, state), state)
      case .header:
        return witness.finding(strategy, selectors.header, try readHeader(selectors), state)
      case .environment:
        let reading = try readEnvironment(selectors)
        return witness.finding(strategy, selectors.environment, reading, state)
      case .default, .credential, .token:
        return ResolutionAccount.Finding(strategy, .notGiven)
      }
    } catch {
      return ResolutionAccount.Finding(strategy, .malformed)
    }
  }
}

extension ResolutionAccount.Finding {
  fileprivate init(_ strategy: ResolutionStrategy, _ statement: SourceStatement) {
    self.init(strategy: strategy, statement: statement, value: "")
  }
}

/// What the caller may see of the tenants that sources name.
private struct Witness {
  private enum Sight {
    case everything
    case only(TenantID)
    case nothing
  }
  private let sight: Sight

  init(_ token: RawSpan?, _ home: TenantRecord?, _ state: borrowing ControlState) {
    if let home {
      sight = .only(home.tenant.id)
    } else if let token {
      let named = state.find(token)
      sight =
        named?.tenant.state.isGone == true
        ? .nothing : named.map { .only($0.tenant.id) } ?? .nothing
    } else {
      sight = .everything
    }
  }

  func finding(
    _ strategy: ResolutionStrategy, _ text: RawSpan, _ reading: SelectorReading,
    _ state: borrowing ControlState
  ) -> ResolutionAccount.Finding {
    switch reading {
    case .name(let range): finding(strategy, text.extracting(range), state)
    case .domain(let range): finding(strategy, domain: text.extracting(range), state)
    case .contradictory: ResolutionAccount.Finding(strategy, .contradictory)
    case .notGiven: ResolutionAccount.Finding(strategy, .notGiven)
    case .noMatch: ResolutionAccount.Finding(strategy, .noMatch)
    case .excluded: ResolutionAccount.Finding(strategy, .excluded)
    case .ignored: ResolutionAccount.Finding(strategy, .ignored)
    }
  }

  private func finding(
    _ strategy: ResolutionStrategy, domain: RawSpan, _ state: borrowing ControlState
  ) -> ResolutionAccount.Finding {
    guard let holder = state.holder(ofDomain: domain) else {
      return ResolutionAccount.Finding(strategy, .noMatch)
    }
    let isSeen = sees(holder)
    return ResolutionAccount.Finding(
      strategy: strategy, statement: isSeen ? .named : .namedOther,
      value: isSeen ? holder.tenant.slug.text : domain.decodedText.lowercased())
  }

  func finding(
    _ strategy: ResolutionStrategy, _ name: RawSpan, _ state: borrowing ControlState
  ) -> ResolutionAccount.Finding {
    let text = name.decodedText.lowercased()
    // That resolving looked a former slug up was a use of it; telling of it is none.
    let found = state.find(text) ?? state.formerSlug(text).flatMap { state.find($0.tenant) }
    guard let found, sees(found) else {
      return ResolutionAccount.Finding(strategy: strategy, statement: .namedOther, value: text)
    }
    return ResolutionAccount.Finding(
      strategy: strategy, statement: .named,
      value: text == found.idText ? text : found.tenant.slug.text)
  }

  private func sees(_ record: TenantRecord) -> Bool {
    switch sight {
    case .everything: true
    case .only(let id): record.tenant.id == id
    case .nothing: false
    }
  }
}
