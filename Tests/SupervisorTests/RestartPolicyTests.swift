import Supervisor
import Testing

@Suite struct RestartPolicyTests {
  @Test("a child that has served is replaced at once, however often that happens")
  func hasServed() {
    var policy = RestartPolicy.worker
    for _ in 0..<1_000 { #expect(policy.childDied(.ofItself, servedSeconds: 0.9) == .restart(afterSeconds: 0)) }
  }

  @Test("a child that was ready is replaced at once when it is killed from outside, however soon")
  func killedSoon() {
    var policy = RestartPolicy.worker
    for _ in 0..<1_000 {
      #expect(policy.childDied(.killedFromOutside, servedSeconds: 0) == .restart(afterSeconds: 0))
    }
  }

  @Test("a child that is killed before it is ready, again and again, waits longer each time, and is never given up")
  func killedBeforeReady() {
    var policy = RestartPolicy.worker
    let decisions = (0..<1_000).map { _ in policy.childDied(.killedFromOutside, servedSeconds: nil) }
    let delays = [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2] + Array(repeating: 5, count: 993)
    #expect(decisions == delays.map { .restart(afterSeconds: $0) })
  }

  @Test("kills among the deaths of a child that cannot start neither excuse nor hasten its end")
  func killedAmongCrashes() {
    var policy = RestartPolicy.worker
    for _ in 0..<9 {
      #expect(policy.childDied(.killedFromOutside, servedSeconds: nil) != .giveUp)
      #expect(policy.childDied(.ofItself, servedSeconds: nil) != .giveUp)
    }
    #expect(policy.childDied(.killedFromOutside, servedSeconds: nil) != .giveUp)
    #expect(policy.childDied(.ofItself, servedSeconds: nil) == .giveUp)
  }

  @Test("a child that dies at once waits longer each time, at most 5 s, and is given up after ten deaths")
  func crashLoop() {
    var policy = RestartPolicy.worker
    let decisions = (0..<10).map { _ in policy.childDied(.ofItself, servedSeconds: nil) }
    let delays = [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]
    #expect(decisions == delays.map { .restart(afterSeconds: $0) } + [.giveUp])
  }

  @Test("one healthy life forgives the quick deaths before it")
  func forgiven() {
    var policy = RestartPolicy.worker
    for _ in 0..<9 { _ = policy.childDied(.ofItself, servedSeconds: 0.1) }
    #expect(policy.childDied(.ofItself, servedSeconds: 2) == .restart(afterSeconds: 0))
    #expect(policy.childDied(.ofItself, servedSeconds: nil) == .restart(afterSeconds: 0))
    #expect(policy.childDied(.ofItself, servedSeconds: nil) == .restart(afterSeconds: 0.1))
  }

  @Test("a helper is never given up")
  func helper() {
    var policy = RestartPolicy.helper
    for _ in 0..<100 { #expect(policy.childDied(.ofItself, servedSeconds: nil) != .giveUp) }
  }
}
