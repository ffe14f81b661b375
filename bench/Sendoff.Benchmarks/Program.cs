using Sendoff.Benchmarks;

return args switch
{
    ["workers", .. var rest] => await WorkerBenchmark.RunAsync(rest),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("""
        usage: workers [runs] [callers] [workers]   runs of one step with one send, through the worker pool
        """);
    return 2;
}
