using Sendoff.Benchmarks;

return args switch
{
    ["store", .. var rest] => await StoreBenchmark.RunAsync(rest),
    ["lists", .. var rest] => await ListBenchmark.RunAsync(rest),
    ["workers", .. var rest] => await WorkerBenchmark.RunAsync(rest),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("""
        usage: store [events] [callers] [folder]   events through the store: accept, finish with one delivery, record
               lists [rows] [folder]               pages of lists over that many runs
        usage: workers [runs] [callers] [workers]   runs of one step with one send, through the worker pool
        """);
    return 2;
}
