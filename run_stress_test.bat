@echo off
rem Set up .venv if needed, then run the stress matrix and write its report. Arguments are passed on.
setlocal
cd /d "%~dp0"
set "python=.venv\Scripts\python.exe"
set "recent=import sys; sys.exit(sys.version_info < (3, 11))"

"%python%" -m pip --version >nul 2>&1
if not errorlevel 1 goto install
set "base="
call :look py -3
call :look python
call :look python3
if not defined base (
    echo vidstega: error: Python 3.11 or newer is needed and none is found; install it from python.org 1>&2
    exit /b 1
)
%base% -c "import ensurepip, venv" >nul 2>&1
if errorlevel 1 (
    echo vidstega: error: %base% has no venv module; install Python from python.org 1>&2
    exit /b 1
)
echo vidstega: making .venv with %base% 1>&2
%base% -m venv .venv
if errorlevel 1 exit /b 1

:install
"%python%" scripts\install.py
if errorlevel 1 exit /b 1

"%python%" -m vidstega stress %*
exit /b %errorlevel%

:look
if defined base exit /b 0
%* -c "%recent%" >nul 2>&1
if not errorlevel 1 set "base=%*"
exit /b 0
