// Called once, before the program has run, with its source and the longest result in characters. Every built-in that is
// needed afterwards is taken now: the program may replace any of them.
(function (source, limit) {
  const compile = Function, stringify = JSON.stringify, isFinite = Number.isFinite;
  const wellFormed = String.prototype.toWellFormed, apply = Reflect.apply, isPromise = (value) => value instanceof Promise;
  // The engine's Python binding defines timers for its own use.
  __timer_manager = __TimerManager = setTimeout = clearTimeout = undefined;

  // Compiled as a function body of its own: no brace in it can close this function.
  const value = compile(source + "\n//# sourceURL=program")();

  if (value === undefined) throw "the program returned nothing; end it with `return <value>`";
  if (isPromise(value)) throw "the program returned a promise; only synchronous code can run";
  if (typeof value === "bigint") throw "the program returned a BigInt; return String(value)";
  if (typeof value === "number" && !isFinite(value)) throw `the program returned ${value}, which is not a usable number`;
  const text = typeof value === "string" ? value : stringify(value);
  if (text === undefined) throw `the program returned a value of type ${typeof value} that JSON cannot hold`;
  if (text.length > limit) throw `the result has ${text.length} characters, more than the ${limit} allowed; return less`;
  return apply(wellFormed, text, []);
})
