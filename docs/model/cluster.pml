/* Several servers on one PostgreSQL database (docs/decisions/0036), for the model checker Spin: spin.mjs runs it.
 * Each option of a loop is one step that nothing interrupts: what touches the database is one committed transaction. Between
 * two steps a server may be killed, frozen or stopped, and the database may go away. Faults are limited by budgets, so every
 * run of the model ends, and Check then requires that all acknowledged work has come to its end. MUT_* break one rule each. */
#ifndef NS
#define NS 2        /* servers */
#endif
#ifndef NR
#define NR 1        /* events, each with one run and one delivery */
#endif
#ifndef NE
#define NE 6        /* epochs 1 to NE-1; 0 is nobody, and has never a row */
#endif
#define L 2         /* a lease in ticks; a healthy server renews it at every tick, and may miss one (SLOW) */
#ifndef CRASH
#define CRASH 0
#endif
#ifndef FREEZE
#define FREEZE 0
#endif
#ifndef OUTAGE
#define OUTAGE 0
#endif
#ifndef LOST
#define LOST 0      /* commits whose answer is lost */
#endif
#ifndef STOP
#define STOP 0      /* orderly stops */
#endif
#ifndef NOBODY
#define NOBODY 0    /* work that is stored by a server without its role */
#endif
#ifndef RESEND
#define RESEND 0    /* resends by hand */
#endif
#ifndef SLOW
#define SLOW 0
#endif

/* The database. */
bool row[NE]; byte lease[NE], nexte = 1;    /* servers: removing a row makes the work of its epoch free */
bool q[NR]; byte rown[NR];                  /* queue */
byte fin[NR], finby[NR];                    /* runs that have ended, and the epoch that ended them */
#define PENDING 1
#define SENDING 2
#define SUCCEEDED 3
#define FAILED 4
#define INTERRUPTED 5
byte dst[NR], down[NR];                     /* deliveries */
byte turn; bool wanted;                     /* the turn of the workflow, which all runs belong to if TURNS is defined */
bool dbup = 1;

/* The servers' memory. */
bool up[NS], frozen[NS], stopping[NS], stale[NS], lostclaim[NS], slow[NS];
byte ep[NS], steady[NS];                    /* steady: ticks of renewals without a gap */
#define NEW 1
#define HELD 2
#define RUNNING 3
#define ASKFIN 4                            /* the answer to the commit of the run's end was lost */
byte mr[NS*NR]; bool doubt[NS*NR];
#define ASKMARK 5
#define MARKED 6
#define CHECKED 7                           /* the lease was looked at; the first byte is not yet written */
#define INFLIGHT 8
#define OUT 9                               /* the outcome waits for its commit */
byte md[NS*NR], age[NS*NR], oc[NS*NR]; bool fz[NS*NR];
bool town[NS], twant[NS], tpass[NS]; byte nrun[NS];

/* What is observed. */
bool ev[NR], acked[NR], envdone, froze[NS]; byte starts[NR], dials[NR], resends[NR], deaths;
byte bC=CRASH, bF=FREEZE, bO=OUTAGE, bL=LOST, bS=STOP, bN=NOBODY, bM=RESEND, bK=SLOW;

#define E ep[s]
#define X(n) (s*NR+(n))
#define MR(r) mr[X(r)]
#define MD(d) md[X(d)]
#define RUN(s) (up[s] && !frozen[s])
#define LISTED(s) row[ep[s]]
#ifdef MUT_FENCE
#define TX(s) (RUN(s) && dbup)
#else
#define TX(s) (RUN(s) && dbup && LISTED(s))  /* the first statement of each transaction locks the server's own row */
#endif
#define LOSE if :: ans=1 :: bL>0 -> bL--; ans=0 fi

#ifdef MUT_FIN
#define OWNRUN(r) (fin[r]<9)
#else
#define OWNRUN(r) (q[r] && rown[r]==E)
#endif
#ifdef MUT_MARK
#define OWNMARK(d) 1
#else
#define OWNMARK(d) (down[d]==E)
#endif
#ifdef MUT_RECORD
#define OWNRECORD(d) (dst[d]==SENDING)
#define TXRECORD(s) (RUN(s) && dbup)
#else
#define OWNRECORD(d) (dst[d]==SENDING && down[d]==E)
#define TXRECORD(s) TX(s)
#endif
#ifdef MUT_NOBODY
#define FREE(o) (o!=0 && !row[o])
#else
#define FREE(o) (!row[o])
#endif
#ifdef MUT_GAP
#define MAYREMOVE 1
#else
#define MAYREMOVE (steady[s]>=L && lease[E]>0)
#endif
#ifdef MUT_CLOCK                             /* a clock that stands still while the machine is suspended */
#define MAYBEGIN (lease[E]>=L || stale[s])
#else
#define MAYBEGIN (lease[E]>=L)
#endif
#ifdef MUT_RESEND                            /* also of deliveries that are pending or in flight */
#define RESENDABLE(d) (dst[d]!=0)
#else
#define RESENDABLE(d) (dst[d]>SENDING)
#endif
#ifdef TURNS
#ifdef MUT_TURNLEASE                         /* a server that wakes after its lease has ended still has the turn */
#define MAYRUN (town[s] && !twant[s])
#else
#define MAYRUN (town[s] && !twant[s] && MAYBEGIN)
#endif
#else
#define MAYRUN 1
#endif
#ifdef MUT_TURNALIVE
#define TURNFREE 1
#else
#define TURNFREE (!row[turn])
#endif
#ifdef MUT_PASSRUNNING
#define MAYPASS 1
#else
#define MAYPASS (nrun[s]==0)
#endif
#ifdef MUT_ORDER                             /* a request for the turn overtakes the transaction that passes it on */
#define INORDER 1
#else
#define INORDER (!tpass[s])
#endif
#ifdef NOREMOVAL                             /* no server may be removed because its lease has ended */
#define NOKILL 0
#else
#define NOKILL 1
#endif

inline forget() {
  i=0; do :: i<NR -> mr[X(i)]=0; doubt[X(i)]=0; md[X(i)]=0; age[X(i)]=0; oc[X(i)]=0; fz[X(i)]=0; i++ :: else -> break od; i=0;
  stopping[s]=0; stale[s]=0; lostclaim[s]=0; slow[s]=0; steady[s]=0; town[s]=0; twant[s]=0; tpass[s]=0; nrun[s]=0 }
inline join() { assert(nexte<NE); ep[s]=nexte; row[nexte]=1; lease[nexte]=L; nexte++ }
inline takeup(d) {
  if :: dst[d]==PENDING && down[d]==E && MD(d)==0 -> MD(d)=HELD
     :: dst[d]==SENDING && down[d]==E && MD(d)==0 -> MD(d)=MARKED :: else fi }
inline leave() { nrun[s]--; if :: nrun[s]==0 && twant[s] && town[s] -> town[s]=0; tpass[s]=1 :: else fi }
inline start(r) {
  MR(r)=RUNNING; nrun[s]++; starts[r]++;
  assert(starts[r]<=1+deaths);               /* a second start needs the end of a server */
#ifdef TURNS
  i=0; do :: i<NS -> assert(i==s || !(up[i] && LISTED(i) && nrun[i]>0)); i++ :: else -> break od; i=0
#endif
}
/* The run's end and its delivery, which is committed as sending if a sender is free. */
inline outbox(r) {
  assert(dst[r]==0);
  if :: dst[r]=PENDING; if :: down[r]=E :: bN>0 -> bN--; down[r]=0 fi
     :: !stopping[s] -> dst[r]=SENDING; down[r]=E fi }

#ifdef MUT_HISTORY
#define ENDED(r) skip
#else
#define ENDED(r) if :: finby[r]==E -> takeup(r) :: else fi
#endif
#define ACT(r) \
 :: atomic { RUN(s) && !stopping[s] && !ev[r] -> ev[r]=1; MR(r)=NEW } \
 :: atomic { TX(s) && MR(r)==NEW -> q[r]=1; if :: rown[r]=E :: bN>0 -> bN--; rown[r]=0 fi; LOSE; \
      if :: ans -> acked[r]=1; if :: rown[r]==E -> MR(r)=HELD :: else -> MR(r)=0 fi \
         :: else -> MR(r)=0; doubt[X(r)]=1 fi; ans=0 } \
 :: atomic { TX(s) && doubt[X(r)] && DOUBTS -> doubt[X(r)]=0; if :: q[r] && rown[r]==E && MR(r)==0 -> MR(r)=HELD :: else fi } \
 :: atomic { RUN(s) && MR(r)==HELD && !stopping[s] && MAYRUN -> start(r) } \
 :: atomic { TX(s) && (MR(r)==RUNNING || MR(r)==ASKFIN) -> \
      if :: OWNRUN(r) -> q[r]=0; rown[r]=0; fin[r]++; assert(fin[r]<=1); finby[r]=E; outbox(r); LOSE; \
            if :: ans -> MR(r)=0; leave(); takeup(r) :: else -> MR(r)=ASKFIN fi \
         :: else -> MR(r)=0; leave(); ENDED(r) fi; ans=0 } \
 :: atomic { TX(s) && !stopping[s] && q[r] && FREE(rown[r]) && MR(r)==0 && !doubt[X(r)] -> rown[r]=E; LOSE; \
      if :: ans -> MR(r)=HELD :: else -> lostclaim[s]=1 fi; ans=0 } \
 :: atomic { TX(s) && (MD(r)==HELD && !stopping[s] || MD(r)==ASKMARK) -> \
      if :: dst[r]==PENDING && OWNMARK(r) -> dst[r]=SENDING; LOSE; if :: ans -> MD(r)=MARKED :: else -> MD(r)=ASKMARK fi \
         :: dst[r]==SENDING && down[r]==E && MD(r)==ASKMARK -> MD(r)=MARKED \
         :: else -> MD(r)=0 fi; ans=0 } \
 :: atomic { RUN(s) && MD(r)==MARKED && MAYBEGIN -> MD(r)=CHECKED; fz[X(r)]=0 } \
 :: atomic { RUN(s) && MD(r)==CHECKED -> MD(r)=INFLIGHT; age[X(r)]=0; dials[r]++; assert(dials[r]<=1+resends[r]); \
      assert(fz[X(r)] || dst[r]==SENDING && down[r]==E); \
      i=0; do :: i<NS -> assert(i==s || !(up[i] && md[i*NR+r]==INFLIGHT && !fz[i*NR+r] && !fz[X(r)])); i++ :: else -> break od; i=0 } \
 :: atomic { RUN(s) && MD(r)==INFLIGHT -> MD(r)=OUT; if :: oc[X(r)]=SUCCEEDED :: oc[X(r)]=FAILED fi } \
 :: atomic { TXRECORD(s) && MD(r)==OUT -> \
      if :: OWNRECORD(r) -> assert(down[r]==E); dst[r]=oc[X(r)]; LOSE; if :: ans -> MD(r)=0 :: else fi \
         :: else -> MD(r)=0 fi; ans=0 } \
 :: atomic { TX(s) && !stopping[s] && dst[r]==PENDING && FREE(down[r]) && MD(r)==0 -> down[r]=E; LOSE; \
      if :: ans -> MD(r)=HELD :: else -> lostclaim[s]=1 fi; ans=0 } \
 :: atomic { TX(s) && !stopping[s] && dst[r]==SENDING && FREE(down[r]) -> \
      i=0; do :: i<NS -> assert(!(RUN(i) && ep[i]==down[r] && md[i*NR+r]==INFLIGHT && !fz[i*NR+r])); i++ :: else -> break od; i=0; \
      down[r]=E; TAKESENDING(r) } \
 :: atomic { TX(s) && !stopping[s] && bM>0 && MD(r)==0 && RESENDABLE(r) -> bM--; resends[r]++; dst[r]=PENDING; \
      if :: down[r]=E :: bN>0 -> bN--; down[r]=0 fi; LOSE; \
      if :: ans -> takeup(r) :: else -> lostclaim[s]=1 fi; ans=0 }
#ifdef MUT_TAKESENDING
#define TAKESENDING(d) dst[d]=PENDING; if :: MD(d)==0 -> MD(d)=HELD :: else fi
#else
#define TAKESENDING(d) dst[d]=INTERRUPTED
#endif
#ifdef MUT_DOUBT
#define DOUBTS 0
#else
#define DOUBTS 1
#endif
#ifdef MUT_RELOAD
#define RELOADS 0
#else
#define RELOADS 1
#endif
#define REMOVE(e) \
 :: atomic { TX(s) && e!=E && row[e] && lease[e]==0 && MAYREMOVE -> assert(NOKILL); row[e]=0; deaths++ }
#define QUIET(r) (mr[X(r)]<RUNNING && md[X(r)]<=HELD)

proctype Server(byte s) {
  byte i; bool ans;
end: do
 ACT(0)
#if NR>1
 ACT(1)
#endif
 REMOVE(1) REMOVE(2) REMOVE(3) REMOVE(4)
#if NE>6
 REMOVE(5)
#endif
 /* After an outage: own work that memory lacks. */
 :: atomic { TX(s) && lostclaim[s] && RELOADS -> lostclaim[s]=0;
      i=0; do :: i<NR -> if :: q[i] && rown[i]==E && MR(i)==0 -> MR(i)=HELD :: else fi;
                         if :: dst[i]==PENDING && down[i]==E && MD(i)==0 -> MD(i)=HELD :: else fi; i++ :: else -> break od; i=0 }
#ifdef TURNS
 :: atomic { TX(s) && !stopping[s] && !town[s] && INORDER && (MR(0)==HELD || MR(NR-1)==HELD) &&
      (TURNFREE || turn==E || !wanted) ->
      if :: TURNFREE || turn==E -> turn=E; wanted=0; LOSE; if :: ans -> town[s]=1; twant[s]=0 :: else fi :: else -> wanted=1 fi; ans=0 }
#ifndef MUT_WANTED
 :: atomic { TX(s) && turn==E && wanted && !tpass[s] && !(town[s] && twant[s] && !MAYPASS) ->
      twant[s]=1; if :: MAYPASS -> town[s]=0; tpass[s]=1 :: else fi }
#endif
 :: atomic { TX(s) && tpass[s] -> tpass[s]=0; if :: turn==E -> turn=0; wanted=0 :: else fi }
 :: atomic { RUN(s) && !dbup && tpass[s] -> tpass[s]=0 }
#endif
 /* Finds itself removed: drops everything and joins again. */
 :: atomic { RUN(s) && dbup && !LISTED(s) ->
#ifdef LEFTOVER                              /* what waited for the store under the former epoch is still written */
      i=0; do :: i<NR -> if :: mr[X(i)]!=RUNNING -> mr[X(i)]=0 :: else fi;
                         if :: md[X(i)]!=OUT -> md[X(i)]=0 :: else fi; i++ :: else -> break od;
      i=0; lostclaim[s]=0; steady[s]=0;
#else
      forget();
#endif
      join() }
 /* Is started again, with its data folder or another one. */
 :: atomic { !up[s] && dbup && nexte<NE && !envdone -> if :: row[E]=0 :: skip fi; forget(); up[s]=1; frozen[s]=0; join() }
 /* The end of an orderly stop. What has not started becomes free. */
 :: atomic { TX(s) && stopping[s] && QUIET(0) && QUIET(NR-1) -> row[E]=0; up[s]=0; forget() }
 od
}

/* One tick: healthy servers renew, all other leases run down. An attempt takes at most one tick. */
#define NEED(s) (up[s] && (frozen[s] || !dbup) && (lease[ep[s]]>0 || steady[s]>0) \
  || TX(s) && (lease[ep[s]]<L || steady[s]<L || bK>0) || !up[s] && LISTED(s) && lease[ep[s]]>0)
#define ORPHAN(e) (row[e] && lease[e]>0 && ep[0]!=e && ep[1]!=e && ep[NS-1]!=e)
#define BUSY(s,d) (RUN(s) && md[(s)*NR+(d)]==INFLIGHT && age[(s)*NR+(d)]>0)
#define ANYBUSY(s) (BUSY(s,0) || BUSY(s,NR-1))
proctype Clock() {
  byte s, i;
end: do
 :: atomic { (NEED(0) || NEED(1) || NEED(NS-1) || ORPHAN(1) || ORPHAN(2) || ORPHAN(3) || ORPHAN(4) || ORPHAN(NE-1)) &&
      !ANYBUSY(0) && !ANYBUSY(1) && !ANYBUSY(NS-1) ->
   s=0; do :: s<nexte -> if :: s>0 && lease[s]>0 -> lease[s]-- :: else fi; s++ :: else -> break od;
   s=0; do :: s<NS ->
      i=0; do :: i<NR -> if :: md[X(i)]==INFLIGHT -> age[X(i)]=1 :: else fi; i++ :: else -> break od; i=0;
      if :: TX(s) ->
            if :: lease[E]=L; steady[s]=(steady[s]<L -> steady[s]+1 : L); stale[s]=0; slow[s]=0
               :: bK>0 && !slow[s] -> bK--; slow[s]=1 fi
         :: else -> steady[s]=0; slow[s]=0 fi; s++
      :: else -> break od; s=0 }
 od
}

/* Faults. They end with the database up and a server running. */
#define WORKS(s) (RUN(s) && !stopping[s])
proctype Env() {
  byte s, i;
end: do
 :: atomic { bC>0 -> select(s : 0 .. NS-1); bC--; if :: up[s] && !stopping[s] -> deaths++; up[s]=0; frozen[s]=0; forget() :: else fi; s=0 }
 :: atomic { bF>0 -> select(s : 0 .. NS-1); bF--;
      if :: RUN(s) -> frozen[s]=1; froze[s]=1;
            i=0; do :: i<NR -> if :: md[X(i)]==CHECKED || md[X(i)]==INFLIGHT -> fz[X(i)]=1 :: else fi; i++ :: else -> break od; i=0
         :: else fi; s=0 }
 :: atomic { up[0] && frozen[0] -> frozen[0]=0; stale[0]=1 }
 :: atomic { up[1] && frozen[1] -> frozen[1]=0; stale[1]=1 }
#if NS>2
 :: atomic { up[2] && frozen[2] -> frozen[2]=0; stale[2]=1 }
#endif
 :: atomic { bO>0 && dbup -> bO--; dbup=0 }
 :: atomic { !dbup -> dbup=1 }
 :: atomic { bS>0 -> select(s : 0 .. NS-1); bS--; if :: WORKS(s) -> stopping[s]=1 :: else fi; s=0 }
 :: atomic { dbup && (WORKS(0) || WORKS(1) || WORKS(NS-1)) -> envdone=1; bK=0; bN=0; bM=0; break }
 od
}

/* When nothing more can happen, all acknowledged work has ended. */
proctype Check() {
  byte r;
end: timeout -> atomic {
    if :: !envdone -> skip
       :: else -> do :: r<NR -> assert(!acked[r] || fin[r]==1); assert(!q[r]); assert(dst[r]!=PENDING && dst[r]!=SENDING);
                               assert((dst[r]!=0) == (fin[r]==1)); r++ :: else -> break od
    fi }
}
#ifdef NOINT
never { do :: dst[0]==INTERRUPTED || dst[NR-1]==INTERRUPTED -> break :: else od }
#endif

init { byte s, i;
  atomic { do :: s<NS -> up[s]=1; join(); steady[s]=L; s++ :: else -> break od;
    s=0; do :: s<NS -> run Server(s); s++ :: else -> break od; run Clock(); run Env(); run Check() } }
